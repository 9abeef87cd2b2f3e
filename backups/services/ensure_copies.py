"""Fill the destinations that Databases name: every kept backup has a copy at each, sooner or later.

Each placement (a Database at a destination) is looked at when something about it has changed, and once an hour. What
is found lacking gets jobs, the newest backup first, as many as a destination is to have waiting at once; these try
until they succeed.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from backups.models import Backup, Copy, CopyJob, DatabaseDestination, Destination
from backups.services.request_copy import request_copy
from backups.services.retain_copies import retain_copies
from backups.services.tell_behind import tell_behind
from jobs.errors import BackupError
from jobs.models import OPEN, Status

EVERY = timedelta(hours=1)
AGAIN = timedelta(seconds=15)  # where more is lacking: a round later
AT_ONCE = 100  # placements in one round
WAITING = 50  # jobs of one destination
AFTER_FAILURE = timedelta(hours=6)  # what failed for good or was cancelled comes back then, or when its place changed

logger = logging.getLogger(__name__)


def ensure_copies() -> int:
    """The sweeper's step; returns how many jobs were made, and how many copies retention took."""
    now = timezone.now()
    placements = list(_due(now)[:AT_ONCE])
    if not placements:
        return 0
    rows = DatabaseDestination.objects.filter(pk__in=[one.pk for one in placements])
    rows.update(looked_at=now)  # before anything is read: what changes from now on is looked at again
    changed = sum(retain_copies(placement=one, now=now) for one in placements)
    lacking = _lacking(placements, now)
    changed += _request(lacking, placements, now)
    _note(lacking, placements)
    tell_behind(placements=rows, now=now)
    return changed


def copy_completed(backup: Backup) -> None:
    """At once for a new backup; what cannot be asked for now is found by the sweeper's step."""
    named = DatabaseDestination.objects.filter(database=backup.database_id)
    named.update(looked_at=None)
    placements = list(named.select_related("destination"))
    if len(placements) > 1:
        now = timezone.now()
        _request(_lacking(placements, now).filter(pk=backup.pk), placements, now)


def catch_up(*, destination: Destination) -> None:
    """It is back: what waits for it need not wait longer."""
    waiting = CopyJob.objects.filter(status=Status.SCHEDULED, destination=destination)
    waiting.filter(scheduled_at__gt=Now()).update(scheduled_at=Now())
    destination.placements.update(looked_at=None)


def _due(now: datetime) -> QuerySet[DatabaseDestination]:
    """What has waited longest comes first. For one that is down nothing can be done but to count."""
    due = Q(looked_at__isnull=True) | Q(looked_at__lt=now - EVERY) | Q(looked_at__gt=now)
    due |= Q(looked_at__lt=now - AGAIN, lacking__gt=0, destination__fault="")
    rows = DatabaseDestination.objects.filter(due).select_related("destination", "database")
    return rows.order_by(F("looked_at").asc(nulls_first=True), "pk")


def _lacking(placements: Sequence[DatabaseDestination], now: datetime) -> QuerySet[Any]:
    """Pairs of a completed backup and a `placement` that has no copy of it, where a good one lies elsewhere.

    Where only one destination is named nothing is copied, except in place of a damaged copy. What the placement's own
    retention would take at once is not copied either.
    """
    copies = Copy.objects.filter(backup=OuterRef("pk"))
    running = CopyJob.objects.filter(backup=OuterRef("pk"), destination=OuterRef("to"), status=Status.IN_PROGRESS)
    there = copies.filter(destination=OuterRef("to"))
    others = DatabaseDestination.objects.filter(database=OuterRef("database")).exclude(pk=OuterRef("placement"))
    kept = Q(days__isnull=True)
    for days in {one.retention_days for one in placements if one.retention_days}:
        kept |= Q(days=days, finished_at__gt=now - timedelta(days=days))
    return _pairs().filter(
        kept,
        ~Exists(there.filter(state=Copy.State.STORED)),
        ~Exists(running),
        Exists(copies.filter(state=Copy.State.STORED)),
        Exists(others) | Q(damaged=True),
        status=Status.COMPLETED,
        database__in={one.database_id for one in placements},
        placement__in=[one.pk for one in placements],
    )


def _pairs() -> QuerySet[Any]:
    """Each backup with each placement of its Database, as columns: a condition on these joins nothing once more."""
    place = "database__placements"
    pairs = Backup.objects.annotate(
        placement=F(f"{place}__pk"),
        to=F(f"{place}__destination"),
        to_changed_at=F(f"{place}__destination__updated_at"),
        days=F(f"{place}__retention_days"),
        named_at=F(f"{place}__named_at"),
    )
    damaged = Copy.objects.filter(backup=OuterRef("pk"), destination=OuterRef("to"), state=Copy.State.QUARANTINED)
    return pairs.annotate(damaged=Exists(damaged))


def _request(lacking: QuerySet[Any], placements: Iterable[DatabaseDestination], now: datetime) -> int:
    """Jobs for the newest of them, as many as there is room for."""
    room = _room(placements)
    jobs = CopyJob.objects.filter(backup=OuterRef("pk"), destination=OuterRef("to"))
    ended = jobs.filter(status__in=[Status.FAILED, Status.CANCELLED], finished_at__gt=now - AFTER_FAILURE)
    put_off = ended.filter(finished_at__gt=OuterRef("to_changed_at"))
    wanted = lacking.filter(~Exists(jobs.filter(status__in=OPEN)), ~Exists(put_off), to__in=list(room))
    newest = wanted.order_by("-finished_at", "-pk")
    made = 0
    for place, free in room.items():  # each by itself: one that lacks very many keeps no other waiting
        for pk, damaged in newest.filter(to=place).values_list("pk", "damaged")[:free]:
            trigger = CopyJob.Trigger.REPLACEMENT if damaged else CopyJob.Trigger.PLACEMENT
            made += _requested(pk, place, trigger)
    return made


def _room(placements: Iterable[DatabaseDestination]) -> dict[str, int]:
    """How many more jobs may wait for each destination that is in order."""
    places = {one.destination_id for one in placements if not one.destination.fault}
    counted = CopyJob.objects.filter(status__in=OPEN, destination__in=places).order_by().values("destination")
    waiting = dict(counted.annotate(count=Count("pk")).values_list("destination", "count"))
    return {pk: WAITING - waiting.get(pk, 0) for pk in places if waiting.get(pk, 0) < WAITING}


def _requested(backup: str, destination: str, trigger: str) -> bool:
    try:
        request_copy(
            backup=Backup.objects.defer("manifest").get(pk=backup),
            destination=Destination.objects.get(pk=destination),
            trigger=trigger,
        )
    except BackupError as error:
        logger.warning("%s is not copied to %s: %s", backup, destination, error)
        return False
    return True


def _note(lacking: QuerySet[Any], placements: Sequence[DatabaseDestination]) -> None:
    """A copy is wanted from the end of its backup on, or since its destination was named."""
    wanted_since = Greatest("finished_at", "named_at")
    figures = lacking.order_by().values("placement").annotate(count=Count("pk"), since=Min(wanted_since))
    found = {row["placement"]: (row["count"], row["since"]) for row in figures}
    for one in placements:
        one.lacking, one.lacking_since = found.get(one.pk, (0, None))
    DatabaseDestination.objects.bulk_update(placements, ["lacking", "lacking_since"])
