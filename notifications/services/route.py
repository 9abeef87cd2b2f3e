"""Decide who is told of new events: each channel once, by the first of its rules that fits."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from notifications.kinds import is_good_news, matches
from notifications.models import Delivery, Event, Mute, Rule, Severity

AT_ONCE = 500


def route_events() -> int:
    """Puts new events into the outbox of their channels; returns how many events were looked at."""
    if not Event.objects.filter(routed_at__isnull=True).exists():
        return 0
    with transaction.atomic():
        skip = connection.features.has_select_for_update_skip_locked
        fresh = Event.objects.filter(routed_at__isnull=True).select_for_update(skip_locked=skip, of=("self",))
        events = list(fresh.order_by("pk")[:AT_ONCE])
        now = timezone.now()
        _mute(events, list(Mute.objects.filter(until__gt=now)))
        rules = list(Rule.objects.filter(channel__enabled=True).select_related("channel"))
        for rule, found in _by_rule(rules, events).items():
            _post(rule, found, now)
        for event in events:
            event.routed_at = now
        Event.objects.bulk_update(events, ["routed_at", "muted_by"])
    return len(events)


def fits(rule: Rule, event: Event) -> bool:
    if not matches(event.kind, rule.kinds):
        return False
    if rule.databases and event.database_id not in rule.databases:
        return False
    if event.kind.startswith("channel.") and event.subject_id == rule.channel_id:
        return False  # a dead channel is told of by the others
    return is_good_news(event.kind) or Severity(event.severity).rank >= Severity(rule.min_severity).rank


def _mute(events: Iterable[Event], mutes: list[Mute]) -> None:
    for event in events:
        event.muted_by = next((mute for mute in mutes if _covers(mute, event)), None)


def _covers(mute: Mute, event: Event) -> bool:
    if mute.scope == Mute.Scope.DATABASE:
        return bool(event.database_id) and event.database_id == mute.database_id
    return mute.scope == Mute.Scope.ALL or matches(event.kind, mute.kinds)


def _by_rule(rules: list[Rule], events: list[Event]) -> dict[Rule, list[Event]]:
    found: dict[Rule, list[Event]] = {}
    for event in events:
        if event.muted_by is not None:
            continue
        told: set[str] = set()
        for rule in rules:
            if rule.channel_id not in told and fits(rule, event):
                told.add(rule.channel_id)
                found.setdefault(rule, []).append(event)
    return found


def _post(rule: Rule, events: list[Event], now: datetime) -> None:
    """Into the message that still collects, or a new one.

    One that nobody has tried to send yet still collects: while a channel is away there is one message that is tried
    again and one that grows, and no queue of thousands when it comes back.
    """
    collecting = rule.deliveries.select_for_update(of=("self",)).filter(state=Delivery.State.WAITING, attempts=0)
    delivery = collecting.order_by("pk").last()
    if delivery is None:
        due = now + timedelta(seconds=rule.group_s)
        delivery = Delivery.objects.create(channel_id=rule.channel_id, rule=rule, next_attempt_at=due)
    delivery.events.add(*events)
