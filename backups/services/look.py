"""Look at every Destination from time to time, so that one that cannot be used is known before a backup needs it."""

import time
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from backups.destinations import open_storage
from backups.models import Destination
from backups.services.ensure_copies import catch_up
from jobs.errors import BackupError
from notifications.services.record import record_event

EVERY = timedelta(minutes=5)
FULL = "destination_full"
ROUND_S = 20.0  # after this much time the rest waits for the next round


def look_at_destinations() -> int:
    """The sweeper's slow step; returns how many were looked at. A folder that only another host has is left to it."""
    deadline = time.monotonic() + ROUND_S
    due = Q(looked_at__isnull=True) | Q(looked_at__lt=timezone.now() - EVERY)
    looked = 0
    for destination in Destination.objects.filter(due, queue="").order_by("looked_at"):
        fault = fault_of(destination)
        _write_down(destination, fault)
        if destination.fault and not fault:
            catch_up(destination=destination)
        looked += 1
        if time.monotonic() > deadline:
            break
    return looked


def _write_down(destination: Destination, fault: str) -> None:
    """And tell of a change, once whoever looks."""
    with transaction.atomic():
        row = Destination.objects.filter(pk=destination.pk)
        seen_as_before = row.filter(fault=destination.fault)
        if seen_as_before.update(looked_at=timezone.now(), fault=fault) and fault != destination.fault:
            _tell(destination, fault)


def _tell(destination: Destination, fault: str) -> None:
    if not fault:
        kind, message, hint = "destination.up", "can be used again.", ""
    elif fault == FULL:
        kind, message = "destination.full", "is full: only the reserve is left free. Backups that go there fail."
        hint = "Make room, keep backups for less long, or give another destination."
    else:
        kind, message = "destination.down", f"cannot be used ({fault}). Backups that go there fail."
        hint = "Its page says what is wrong: choose Check there."
    record_event(
        kind=kind,
        subject_id=destination.pk,
        message=f"The destination {destination.name} ({destination.pk}) {message}",
        hint=hint,
        data={"fault": fault or destination.fault},
    )


def fault_of(destination: Destination) -> str:
    """Code of what is wrong, empty when nothing is. Writes nothing: where nothing may be deleted it would stay."""
    try:
        storage = open_storage(destination)
        storage.look()
        return FULL if storage.free_bytes() == 0 else ""
    except BackupError as error:
        return error.code
