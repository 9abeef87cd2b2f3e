"""Read every stored copy again within the policy's days: of all destinations the longest unread copy is next.

A copy's turn comes when half of the days are over, so that a round that is slow, or begins late, still ends in time.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from backups.models import Copy, Destination, Verification
from backups.services.verify import request_verification
from databases.selectors import site_policy
from jobs.errors import BackupError
from jobs.models import OPEN, Status
from notifications.models import Severity
from notifications.services.record import record_event

SHARE = 0.5
AGAIN = timedelta(days=1)  # what could not be read keeps nobody waiting, and has another turn then
AHEAD = timedelta(hours=1)  # what was read later than that from now on was read by a clock that ran ahead

logger = logging.getLogger(__name__)


def verify_due() -> int:
    """The sweeper's step, and called when a scheduled verification has ended; returns how many were asked for."""
    days, now = site_policy().verify_within_days, timezone.now()
    _tell_unread(days, now)
    if not days:
        return 0
    waiting = _waiting()
    asked = 0
    for copy in _longest_unread(now - timedelta(days=days) * SHARE, now, _full(waiting)):
        queue = copy.destination.queue
        if waiting.get(queue, 0) < settings.BACKUPSITE_VERIFY_AT_ONCE:
            waiting[queue] = waiting.get(queue, 0) + 1
            asked += _request(copy)
    return asked


def readable() -> QuerySet[Copy]:
    """Stored copies that can be read again: where credentials only write, the store's checksums have to do."""
    return Copy.objects.filter(state=Copy.State.STORED).exclude(readback=Copy.Readback.CHECKSUM)


def _waiting() -> dict[str, int]:
    """How many scheduled ones are open, by queue: a host that is away keeps no other from its round."""
    rows = Verification.objects.filter(trigger=Verification.Trigger.SCHEDULE, status__in=OPEN).order_by()
    return dict(rows.values("queue").annotate(count=Count("pk")).values_list("queue", "count"))


def _full(waiting: dict[str, int]) -> list[str]:
    return [queue for queue, count in waiting.items() if count >= settings.BACKUPSITE_VERIFY_AT_ONCE]


def _longest_unread(limit: datetime, now: datetime, full: list[str]) -> Iterator[Copy]:
    """Of each destination that can be used: never read, read in the future, and read longest ago."""
    busy = Verification.objects.filter(backup=OuterRef("backup"), status__in=OPEN)
    there = readable().filter(~Exists(busy), destination=OuterRef("pk"), backup__status=Status.COMPLETED)
    there = there.exclude(tried_at__gt=now - AGAIN, tried_at__lte=now)
    first = {
        "never": there.filter(verified_at__isnull=True).order_by("pk"),
        "ahead": there.filter(verified_at__gt=now + AHEAD).order_by("verified_at"),
        "oldest": there.filter(verified_at__lt=limit).order_by("verified_at"),
    }
    rows = Destination.objects.filter(fault="").exclude(queue__in=full)
    rows = rows.annotate(**{name: Subquery(copies.values("pk")[:1]) for name, copies in first.items()})
    found = list(rows.values(*first))
    turn = {row[name]: number for number, name in enumerate(first) for row in found if row[name]}
    copies = Copy.objects.filter(pk__in=turn).select_related("destination", "backup").defer("backup__manifest")
    yield from sorted(copies, key=lambda copy: (turn[copy.pk], copy.verified_at or now))


def _request(copy: Copy) -> int:
    try:
        request_verification(backup=copy.backup, destination=copy.destination, trigger=Verification.Trigger.SCHEDULE)
    except BackupError as error:  # deleted meanwhile
        logger.info("%s is not verified: %s", copy.key, error)
        return 0
    return 1


def _tell_unread(days: int, now: datetime) -> None:
    """Once for each destination when copies were not read in time, and anew when they were and are not again."""
    limit = now - timedelta(days=days)
    late = readable().filter(destination=OuterRef("pk"), backup__status=Status.COMPLETED, verified_at__lt=limit)
    overdue = Q(Exists(late)) if days else Q(pk__in=[])
    Destination.objects.filter(~overdue, unread_since__isnull=False).update(unread_since=None)
    if not days:
        return
    for destination in Destination.objects.filter(overdue, unread_since__isnull=True):
        _tell(destination, days, limit, now)


def _tell(destination: Destination, days: int, limit: datetime, now: datetime) -> None:
    late = readable().filter(destination=destination, backup__status=Status.COMPLETED, verified_at__lt=limit)
    oldest = late.order_by("verified_at").values_list("verified_at", flat=True).first()
    with transaction.atomic():
        if not Destination.objects.filter(pk=destination.pk, unread_since__isnull=True).update(unread_since=now):
            return  # somebody else told it
        record_event(
            kind="verify.overdue",
            severity=Severity.WARNING,
            subject_id=destination.pk,
            message=f"{late.count()} copies at {destination.name} ({destination.pk}) were not read again within "
            f"{days} days, the longest unread since {oldest:%Y-%m-%d %H:%M} UTC.",
            hint="The destination cannot be used: its page says why."
            if destination.fault
            else "Look for verifications that failed or still wait; BACKUPSITE_VERIFY_AT_ONCE lets more run at once.",
        )
