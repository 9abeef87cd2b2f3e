"""Look at every Destination from time to time, so that one that cannot be used is known before a backup needs it."""

import time
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from backups.destinations import open_storage
from backups.models import Destination
from backups.services.ensure_copies import catch_up
from backups.storage.base import PERMISSION
from jobs.errors import BackupError

EVERY = timedelta(minutes=5)
NOTHING = ".backupsite-look/"  # a prefix that no object has: the store answers with an empty list
ROUND_S = 20.0  # after this much time the rest waits for the next round


def look_at_destinations() -> int:
    """The sweeper's slow step; returns how many were looked at. A folder that only another host has is left to it."""
    deadline = time.monotonic() + ROUND_S
    due = Q(looked_at__isnull=True) | Q(looked_at__lt=timezone.now() - EVERY)
    looked = 0
    for destination in Destination.objects.filter(due, queue="").order_by("looked_at"):
        fault = _fault(destination)
        Destination.objects.filter(pk=destination.pk).update(looked_at=timezone.now(), fault=fault)
        if destination.fault and not fault:
            catch_up(destination=destination)
        looked += 1
        if time.monotonic() > deadline:
            break
    return looked


def _fault(destination: Destination) -> str:
    """Code of what is wrong, empty when nothing is. Writes nothing: where nothing may be deleted it would stay."""
    try:
        storage = open_storage(destination)
        if destination.kind == Destination.Kind.LOCAL:
            storage.free_bytes()  # the folder, and the marker in it
        else:
            next(iter(storage.list(NOTHING)), None)
    except BackupError as error:
        return "" if error.code == PERMISSION else error.code  # credentials that only write are a wise choice
    return ""
