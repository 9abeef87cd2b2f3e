"""How often something may happen in a window of time: counted in rows under a lock, before it happens.

However many requests come at once and to however many processes, no more are let through than a limit says.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from jobs.models import Quota


@dataclass(frozen=True)
class Limit:
    """`subject` is what is counted: see `subject_of`."""

    subject: str
    most: int
    window: timedelta


@dataclass(frozen=True)
class Taken:
    """`limit` and `remaining` are of the tightest one, which begins again at `resets_at`. No `wait`: it may happen."""

    limit: int
    remaining: int
    resets_at: datetime
    wait: timedelta | None = None


def subject_of(*parts: str) -> str:
    """SHA-256: names and addresses are not kept."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def take(limits: Sequence[Limit]) -> Taken:
    """Counts once against every limit; nothing is counted when one is reached."""
    now = timezone.now()
    with transaction.atomic():
        rows = {limit.subject: _row(limit, now) for limit in sorted(limits, key=lambda limit: limit.subject)}
        reached = [limit for limit in limits if rows[limit.subject].count >= limit.most]
        if not reached:
            for row in rows.values():
                row.count += 1
                row.save(update_fields=["count", "window_ends_at"])
        longest = max(reached, key=lambda limit: rows[limit.subject].window_ends_at, default=None)
        tight = longest or min(limits, key=lambda limit: limit.most - rows[limit.subject].count)
        ends = rows[tight.subject].window_ends_at
        left = max(0, tight.most - rows[tight.subject].count)
        return Taken(tight.most, left, ends, ends - now if longest else None)


def give_back(limits: Sequence[Limit], *, times: int = 1) -> None:
    """What was counted so often turned out not to count."""
    subjects = [limit.subject for limit in limits]
    Quota.objects.filter(subject__in=subjects, count__gte=times).update(count=F("count") - times)


def forget(limit: Limit) -> None:
    """Begins anew."""
    Quota.objects.filter(subject=limit.subject).delete()


def forget_old_quotas() -> int:
    """The sweeper's step. Returns how many were removed."""
    return Quota.objects.filter(window_ends_at__lt=timezone.now()).delete()[0]


def _row(limit: Limit, now: datetime) -> Quota:
    rows = Quota.objects.select_for_update()
    row, _ = rows.get_or_create(subject=limit.subject, defaults={"window_ends_at": now + limit.window})
    if row.window_ends_at <= now:
        row.count, row.window_ends_at = 0, now + limit.window
    return row
