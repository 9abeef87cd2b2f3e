"""Look at every Destination from time to time, so that one that cannot be used is known before a backup needs it."""

import time
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Look:
    """`fault` is a code, empty when all is in order; `free_bytes` None where the store has no such figure."""

    fault: str
    free_bytes: int | None


def look_at_destinations() -> int:
    """The sweeper's slow step; returns how many were looked at. A folder that only another host has is left to it."""
    deadline = time.monotonic() + ROUND_S
    due = Q(looked_at__isnull=True) | Q(looked_at__lt=timezone.now() - EVERY)
    looked = 0
    for destination in Destination.objects.filter(due, queue="").order_by("looked_at"):
        found = look_at(destination)
        _write_down(destination, found)
        if destination.fault and not found.fault:
            catch_up(destination=destination)
        looked += 1
        if time.monotonic() > deadline:
            break
    return looked


def _write_down(destination: Destination, found: Look) -> None:
    """And tell of a change, once whoever looks."""
    with transaction.atomic():
        row = Destination.objects.filter(pk=destination.pk)
        seen_as_before = row.filter(fault=destination.fault)
        values = {"looked_at": timezone.now(), "fault": found.fault, "free_bytes": found.free_bytes}
        if seen_as_before.update(**values) and found.fault != destination.fault:
            _tell(destination, found.fault)


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
    """Code of what is wrong, empty when nothing is."""
    return look_at(destination).fault


def look_at(destination: Destination) -> Look:
    """Writes nothing: where nothing may be deleted it would stay."""
    try:
        storage = open_storage(destination)
        storage.look()
        free = storage.free_bytes()
    except BackupError as error:
        return Look(error.code, None)
    return Look(FULL if free == 0 else "", free)
