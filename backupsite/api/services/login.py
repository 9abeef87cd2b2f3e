"""Log in with a name and a password, slowly enough for those who guess.

Attempts are counted before the password is looked at, in rows under a lock: however many requests come at once and
to however many processes, no more are let through than the limits say.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib.auth import authenticate, get_user_model
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.throttling import BaseThrottle

from backupsite.api.models import LoginAttempt
from notifications.models import Event
from notifications.services.record import record_event

TOLD_FOR = timedelta(minutes=5)
MOST_TOLD = 20  # in that time, from however many addresses


@dataclass(frozen=True)
class Limit:
    subject: str
    attempts: int
    window: timedelta


def log_in(*, request: HttpRequest, username: str, password: str) -> Any:
    """The user. Raises AuthenticationFailed, and Throttled when there were too many attempts."""
    address = BaseThrottle().get_ident(cast(Any, request)) or ""  # believes as many proxies as NUM_PROXIES says
    limits = _limits(username, address)
    wait = _count(limits, timezone.now())
    if wait is not None:
        _tell_locked(username, address)
        raise Throttled(wait=math.ceil(wait.total_seconds()), detail="Too many attempts to log in.")
    user = authenticate(request, username=username, password=password)
    if user is None:
        raise AuthenticationFailed("No active user has this name and password.", code="bad_credentials")
    _forgive(limits)
    return user


def forget_old_attempts() -> int:
    """The sweeper's step. Returns how many were removed."""
    return LoginAttempt.objects.filter(window_ends_at__lt=timezone.now()).delete()[0]


def _tell_locked(username: str, address: str) -> None:
    """Once for an address and a while. A name that no user has is not repeated: it may be a mistyped password."""
    recent = Event.objects.filter(kind="security.login_locked", created_at__gt=timezone.now() - TOLD_FOR)
    told = list(recent.values_list("subject_id", flat=True)[:MOST_TOLD])
    if address in told or len(told) == MOST_TOLD:
        return
    known = get_user_model().objects.filter(username=username).exists()
    record_event(
        kind="security.login_locked",
        subject_id=address[:63],
        message=f"Too many attempts to log in as {username if known else 'an unknown user'} from {address}.",
        hint="Was it you? Else look who is at that address, and block it in front of the site.",
    )


def _limits(username: str, address: str) -> list[Limit]:
    """The middle one holds off guessing from many addresses; it is wide, so that it rarely locks a user out."""
    return [
        Limit(_digest("both", username.casefold(), address), 10, timedelta(minutes=5)),
        Limit(_digest("name", username.casefold()), 100, timedelta(hours=1)),
        Limit(_digest("address", address), 60, timedelta(minutes=5)),
    ]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _count(limits: list[Limit], now: datetime) -> timedelta | None:
    """Counts an attempt against every limit; how long to wait, and nothing counted, when one is reached."""
    with transaction.atomic():
        rows = [_row(limit, now) for limit in sorted(limits, key=lambda limit: limit.subject)]
        by_subject = {row.subject: row for row in rows}
        waits = [
            by_subject[limit.subject].window_ends_at - now
            for limit in limits
            if by_subject[limit.subject].count >= limit.attempts
        ]
        if waits:
            return max(waits)
        for row in rows:
            row.count += 1
            row.save(update_fields=["count", "window_ends_at"])
    return None


def _row(limit: Limit, now: datetime) -> LoginAttempt:
    rows = LoginAttempt.objects.select_for_update()
    row, _ = rows.get_or_create(subject=limit.subject, defaults={"window_ends_at": now + limit.window})
    if row.window_ends_at <= now:
        row.count, row.window_ends_at = 0, now + limit.window
    return row


def _forgive(limits: list[Limit]) -> None:
    """An attempt that succeeded was no guess."""
    LoginAttempt.objects.filter(subject=limits[0].subject).delete()
    LoginAttempt.objects.filter(subject__in=[limit.subject for limit in limits[1:]], count__gt=0).update(
        count=F("count") - 1
    )
