"""Who is told of what: rules, good news, collecting, mutes."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from notifications.models import Delivery, Event, Rule, Severity
from notifications.services.route import fits, route_events
from notifications.services.save_channel import save_channel
from notifications.services.save_mute import mute, unmute
from notifications.services.save_rule import save_rule
from tests.notifications.conftest import Post
from tests.notifications.receivers import Receiver

RULE = {"kinds": ["*"], "min_severity": "warning", "databases": []}


@pytest.mark.parametrize(
    ("rule", "event", "told"),
    [
        ({}, {"kind": "backup.failed"}, True),
        ({}, {"kind": "backup.completed", "severity": "info"}, False),
        ({"min_severity": "info"}, {"kind": "backup.completed", "severity": "info"}, True),
        ({}, {"kind": "backup.recovered", "severity": "info"}, True),  # good news goes to who heard the bad
        ({"kinds": ["drill.*"]}, {"kind": "backup.recovered", "severity": "info"}, False),
        ({"kinds": ["backup.*"]}, {"kind": "backup.overdue"}, True),
        ({"kinds": ["backup.failed", "drill.*"]}, {"kind": "backup.overdue"}, False),
        ({"databases": ["shop"]}, {"kind": "backup.failed", "database_id": "shop"}, True),
        ({"databases": ["shop"]}, {"kind": "backup.failed", "database_id": "crm"}, False),
        ({"databases": ["shop"]}, {"kind": "destination.down", "database_id": ""}, False),
        ({"min_severity": "error"}, {"kind": "schedule.skipped", "severity": "warning"}, False),
        ({}, {"kind": "channel.failing", "subject_id": "chn_other"}, True),
        ({}, {"kind": "channel.failing", "subject_id": "chn_own"}, False),
    ],
)
def test_a_rule_says_which_events_go_out(rule: dict[str, object], event: dict[str, object], told: bool) -> None:
    row = Rule(channel_id="chn_own", **{**RULE, **rule})
    assert fits(row, Event(**{"severity": "error", "subject_id": "bkp_x", "database_id": "", **event})) is told


def test_a_channel_hears_of_an_event_once_however_many_rules_fit(post: Post, hook: Receiver) -> None:
    channel = post.webhook(hook)
    Rule.objects.create(channel=channel, kinds=["backup.*"], min_severity=Severity.INFO, group_s=0)
    post.event()
    post.round()
    assert [delivery.events.count() for delivery in Delivery.objects.all()] == [1]
    assert len(hook.requests) == 1


def test_when_everything_fails_at_once_there_is_one_digest(post: Post, hook: Receiver) -> None:
    post.webhook(hook, group_s=60)
    for number in range(150):
        post.event(message=f"The backup of {number} failed.", database_id=f"db{number}")
    post.round()
    for number in range(50):
        post.event("backup.overdue", message=f"{number} is overdue.")
    post.round()
    assert hook.requests == []
    post.again()
    post.round()
    [delivery] = Delivery.objects.all()
    assert (delivery.state, delivery.events.count(), len(hook.requests)) == ("sent", 200, 1)
    body = hook.requests[0].body.decode()
    assert '"type":"digest"' in body
    assert '"counts":{"backup.failed":150,"backup.overdue":50}' in body


def test_while_a_channel_is_away_its_messages_do_not_pile_up(post: Post, hook: Receiver) -> None:
    post.webhook(hook)
    hook.answer = lambda request: 503
    for number in range(8):
        post.event(message=f"failure {number}")
        post.again()
        post.round()
    assert Delivery.objects.filter(state="waiting").count() == 2  # one that is tried again, one that grows
    hook.answer = lambda request: 204
    before = len(hook.requests)
    post.again()
    post.round()
    assert len(hook.requests) - before == 2
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}


@pytest.mark.parametrize(
    ("scope", "muted"),
    [
        ({"scope": "all"}, {"shop", "crm", "nothing"}),
        ({"scope": "database", "database_id": "shop"}, {"shop"}),
        ({"scope": "kind", "kinds": ["destination.*"]}, {"nothing"}),
    ],
)
def test_what_is_muted_is_recorded_and_told_to_nobody(
    post: Post, hook: Receiver, scope: dict[str, Any], muted: set[str]
) -> None:
    post.webhook(hook)
    row = mute(**scope, until=timezone.now() + timedelta(hours=1), reason="works")
    events = {
        "shop": post.event(),
        "crm": post.event(database_id="crm"),
        "nothing": post.event("destination.down", database_id="", subject_id="disk"),
    }
    route_events()
    silent = {name for name, event in events.items() if Event.objects.get(pk=event.pk).muted_by_id == row.pk}
    told = {name for name, event in events.items() if event.deliveries.exists()}
    assert silent == muted
    assert told == set(events) - muted


def test_a_mute_ends_at_its_time_and_when_somebody_ends_it(post: Post, hook: Receiver) -> None:
    post.webhook(hook)
    row = mute(scope="all", until=timezone.now() + timedelta(hours=1))
    type(row).objects.update(until=timezone.now() - timedelta(seconds=1))
    post.event(message="told one")
    post.round()
    again = mute(scope="all", until=timezone.now() + timedelta(hours=1))
    unmute(mute=again)
    post.event(message="told two")
    post.round()
    assert [b"told one" in hook.requests[0].body, b"told two" in hook.requests[1].body] == [True, True]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"scope": "all", "until": -1}, "until"),
        ({"scope": "all", "until": 400 * 86400}, "until"),
        ({"scope": "database", "until": 60}, "database_id"),
        ({"scope": "all", "until": 60, "database_id": "shop"}, "database_id"),
        ({"scope": "kind", "until": 60}, "kinds"),
        ({"scope": "kind", "until": 60, "kinds": ["bakcup.*"]}, "kinds"),
    ],
)
def test_a_mute_has_an_end_and_says_what_it_means(db: None, values: dict[str, object], field: str) -> None:
    until = timezone.now() + timedelta(seconds=int(str(values["until"])))
    with pytest.raises(ValidationError) as raised:
        mute(**{**values, "until": until})  # type: ignore[arg-type]
    assert list(raised.value.message_dict) == [field]


def test_a_rule_for_a_kind_that_does_not_exist_is_refused(post: Post, hook: Receiver) -> None:
    channel = post.webhook(hook)
    for kinds in (["bakcup.*"], [], "backup.*"):
        with pytest.raises(ValidationError) as raised:
            save_rule(rule=Rule(channel=channel), values={"kinds": kinds}, create=True)
        assert "kinds" in raised.value.message_dict


def test_a_channel_that_is_off_is_told_nothing_later_either(post: Post, hook: Receiver) -> None:
    channel = post.webhook(hook, group_s=60)
    post.event()
    route_events()
    save_channel(channel=channel, values={"enabled": False}, create=False)
    post.event()
    route_events()
    post.again()
    post.round()
    save_channel(channel=channel, values={"enabled": True}, create=False)
    post.round()
    assert (hook.requests, list(Delivery.objects.values_list("state", flat=True))) == ([], ["dropped"])
