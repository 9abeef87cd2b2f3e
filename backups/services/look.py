"""Look at every Destination from time to time, so that one that cannot be used is known before a backup needs it."""

import time
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from backups.destinations import check_destination
from backups.models import Destination

EVERY = timedelta(minutes=5)
ROUND_S = 20.0  # after this much time the rest waits for the next round


def look_at_destinations() -> int:
    """The sweeper's slow step; returns how many were looked at. A folder that only another host has is left to it."""
    deadline = time.monotonic() + ROUND_S
    due = Q(looked_at__isnull=True) | Q(looked_at__lt=timezone.now() - EVERY)
    looked = 0
    for destination in Destination.objects.filter(due, queue="").order_by("looked_at"):
        report = check_destination(destination)
        code = "" if report.ok else report.code or "unknown"
        Destination.objects.filter(pk=destination.pk).update(looked_at=timezone.now(), fault=code)
        looked += 1
        if time.monotonic() > deadline:
            break
    return looked
