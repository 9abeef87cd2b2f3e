"""The outbox: claim a message, and write down what came of it. Whoever else looks at the same time is harmless."""

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import DateTimeField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from jobs.errors import BackupError
from notifications.models import Channel, Delivery, Ping, Target
from notifications.services.record import record_event

LEASE_S = 120  # longer than any attempt may take
PAUSES_S = (30, 60, 120, 300, 600, 1200, 2400, 3600, 7200, 14400)
GIVE_UP = timedelta(days=3)
GIVE_UP_PING = timedelta(hours=1)  # a signal of yesterday's run says nothing today
REFUSALS = 5  # attempts with a message that the other side does not want
TELL_AFTER = 3  # failed attempts in a row


def after(seconds: float) -> Any:
    """By the clock of the site's database: sweepers on several hosts have one."""
    return ExpressionWrapper(Now() + timedelta(seconds=seconds), output_field=DateTimeField())


def due() -> QuerySet[Delivery]:
    """Messages to send now, and held by nobody. A rule's messages go one after the other."""
    earlier = Delivery.objects.filter(rule=OuterRef("rule"), state=Delivery.State.WAITING, pk__lt=OuterRef("pk"))
    free = Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lt=Now())
    enabled = Q(channel__enabled=True) | Q(ping__enabled=True)
    rows = Delivery.objects.filter(enabled, free, state=Delivery.State.WAITING, next_attempt_at__lte=Now())
    return rows.filter(~Exists(earlier)).order_by("pk")


def claim(target: Target) -> Delivery | None:
    """The target's oldest message that is due, now held by the caller; None when there is none."""
    mine = {"channel": target} if isinstance(target, Channel) else {"ping": target}
    for pk, attempts in due().filter(**mine).values_list("pk", "attempts")[:5]:
        # The count of attempts is the version of the row: of two who read the same one, one claims.
        row = Delivery.objects.filter(pk=pk, state=Delivery.State.WAITING, attempts=attempts)
        if row.update(lease_token=uuid.uuid4(), lease_expires_at=after(LEASE_S), attempts=F("attempts") + 1):
            return Delivery.objects.select_related("channel", "ping", "rule").get(pk=pk)
    return None


def sent(delivery: Delivery) -> bool:
    """False when somebody else took the message over meanwhile."""
    with transaction.atomic():
        if not _end(delivery, Delivery.State.SENT, error=""):
            return False
        target_ok(_target(delivery))
    return True


def failed(delivery: Delivery, error: BackupError) -> bool:
    """To be tried again, until that makes no sense any more. False when somebody else took the message over."""
    text = str(error)[:2000]
    with transaction.atomic():
        if _is_hopeless(delivery, error):
            ours = _end(delivery, Delivery.State.FAILED, error=text)
        else:
            pause = PAUSES_S[min(delivery.attempts, len(PAUSES_S)) - 1]
            rows = _ours(delivery)
            ours = bool(rows.update(error=text, next_attempt_at=after(pause), lease_token=None, lease_expires_at=None))
        if ours:
            _target_failed(_target(delivery), text, tell=delivery.attempts >= TELL_AFTER)
    return ours


def drop(deliveries: QuerySet[Delivery], reason: str) -> int:
    """What still waits will not be sent."""
    waiting = deliveries.filter(state=Delivery.State.WAITING)
    return waiting.update(
        state=Delivery.State.DROPPED, ended_at=Now(), error=reason, lease_token=None, lease_expires_at=None
    )


def target_ok(target: Target) -> None:
    """It takes messages: what waits for another attempt is sent at once, and who was told of the failure is told."""
    rows = type(target)._default_manager.filter(pk=target.pk)
    was_failing = target.failing_since
    told = bool(rows.filter(failing_told=True).update(failing_told=False))
    rows.update(last_ok_at=Now(), failing_since=None, last_error="")
    getattr(target, "deliveries").filter(state=Delivery.State.WAITING, attempts__gt=0).update(next_attempt_at=Now())  # noqa: B009  # of both kinds
    if told:
        record_event(
            kind=f"{target.event_family}.recovered",
            subject_id=str(target.pk),
            database_id=_database_of(target),
            message=f"{_name(target)} takes messages again.",
            data={"since": was_failing} if was_failing else {},
        )


def _target_failed(target: Target, text: str, *, tell: bool) -> None:
    rows = type(target)._default_manager.filter(pk=target.pk)
    rows.update(last_error=text)
    rows.filter(failing_since__isnull=True).update(failing_since=Now())
    if tell and rows.filter(failing_told=False).update(failing_told=True):
        since = rows.values_list("failing_since", flat=True).first()
        record_event(
            kind=f"{target.event_family}.failing",
            subject_id=str(target.pk),
            database_id=_database_of(target),
            message=f"{_name(target)} takes no messages: {text}",
            hint="What it should have told waits for up to three days. Look at its page and send a test.",
            data={"since": since},
        )


def _is_hopeless(delivery: Delivery, error: BackupError) -> bool:
    limit = GIVE_UP_PING if delivery.ping_id else GIVE_UP
    return (error.permanent and delivery.attempts >= REFUSALS) or timezone.now() - delivery.created_at > limit


def _end(delivery: Delivery, state: str, *, error: str) -> bool:
    fields: dict[str, Any] = {"state": state, "ended_at": Now(), "error": error}
    return bool(_ours(delivery).update(**fields, lease_token=None, lease_expires_at=None))


def _ours(delivery: Delivery) -> QuerySet[Delivery]:
    return Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.WAITING, lease_token=delivery.lease_token)


def _target(delivery: Delivery) -> Target:
    target = delivery.channel or delivery.ping
    assert target is not None
    return target


def _name(target: Target) -> str:
    return f"The ping address of {target}" if isinstance(target, Ping) else f"Channel {target} ({target.pk})"


def _database_of(target: Target) -> str:
    return target.database_id if isinstance(target, Ping) else ""


def targets_due(leave_out: Iterable[tuple[str, str]]) -> list[Target]:
    """Those with something to send, the healthy ones first."""
    rows = due()
    channels = Channel.objects.filter(pk__in=rows.order_by().values("channel"))
    pings = Ping.objects.filter(pk__in=rows.order_by().values("ping"))
    busy = set(leave_out)
    found: list[Target] = [one for one in (*channels, *pings) if (one.event_family, str(one.pk)) not in busy]
    return sorted(found, key=lambda target: target.failing_since is not None)
