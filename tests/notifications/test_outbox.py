"""The outbox: once though many look, again after a death, for days while nobody answers; dead channels are told of."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from jobs.errors import BackupError
from notifications.models import Channel, Delivery, Event
from notifications.services import outbox
from notifications.services.deliver import Postman
from notifications.services.forget import forget_old
from notifications.services.route import route_events
from tests.notifications.conftest import Post
from tests.notifications.receivers import MailServer, Receiver

AWAY = BackupError("It is away.", code="unreachable")


def together(count: int, work: Callable[[], object]) -> list[object]:
    """What `work` returned in each of so many threads that began at the same moment."""
    barrier, found = threading.Barrier(count), list[object]()

    def run() -> None:
        try:
            barrier.wait()
            found.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_many_who_claim_a_message_one_gets_it(post: Post, hook: Receiver) -> None:
    channel = post.webhook(hook)
    for _ in range(5):
        post.event()
        route_events()
        claimed = [one for one in together(6, lambda: outbox.claim(channel)) if one is not None]
        assert len(claimed) == 1
        assert outbox.sent(claimed[0])  # type: ignore[arg-type]


def test_two_sweepers_send_every_message_once(post: Post, hook: Receiver) -> None:
    post.webhook(hook)
    for number in range(6):
        post.event(message=f"failure {number}")
        together(3, lambda: post.round(Postman()))
    assert len(hook.requests) == len({request.headers["webhook-id"] for request in hook.requests})
    bodies = b"".join(request.body for request in hook.requests)
    assert [bodies.count(f'"message":"failure {number}"'.encode()) for number in range(6)] == [1] * 6


def test_two_sweepers_route_every_event_once(post: Post, hook: Receiver) -> None:
    post.webhook(hook, group_s=60)
    for _ in range(40):
        post.event()
    together(4, route_events)
    assert sum(delivery.events.count() for delivery in Delivery.objects.all()) == 40


def test_a_message_whose_sender_died_is_sent_again_with_the_same_id(post: Post, hook: Receiver) -> None:
    channel = post.webhook(hook)
    post.event()
    route_events()
    died = outbox.claim(channel)
    assert died is not None
    post.round()
    assert hook.requests == []  # its lease still holds
    Delivery.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    post.round()
    [request] = hook.requests
    assert request.headers["webhook-id"] == died.message_id
    assert not outbox.sent(died)  # it wakes up: the row is no longer its own
    assert not outbox.failed(died, AWAY)
    assert Delivery.objects.get().state == "sent"


def test_it_is_tried_again_for_three_days_with_longer_and_longer_pauses(post: Post, hook: Receiver) -> None:
    channel = post.webhook(hook)
    post.event()
    route_events()
    pauses = []
    for _ in range(12):
        delivery = outbox.claim(channel)
        assert delivery is not None
        outbox.failed(delivery, AWAY)
        delivery.refresh_from_db()
        pauses.append((delivery.next_attempt_at - timezone.now()).total_seconds())
        assert outbox.claim(channel) is None
        post.again()
    assert pauses[0] < 31
    assert pauses[-1] > 14_000
    Delivery.objects.update(created_at=timezone.now() - timedelta(days=3, seconds=1))
    delivery = outbox.claim(channel)
    assert delivery is not None
    outbox.failed(delivery, AWAY)
    assert Delivery.objects.get().state == "failed"


def test_a_dead_channel_is_told_of_by_the_others_and_so_is_its_recovery(
    post: Post, hook: Receiver, mail: MailServer
) -> None:
    dead = post.webhook(hook)
    post.email(mail.port)
    hook.answer = lambda request: 503
    post.event()
    for _ in range(5):
        post.again()
        post.round()
    subjects = [str(message["Subject"]) for _, message in mail.mails]
    assert sum("takes no messages" in subject for subject in subjects) == 1
    dead.refresh_from_db()
    assert dead.failing_since is not None
    assert "503" in dead.last_error
    hook.answer = lambda request: 204
    post.again()
    post.round()
    post.round()
    assert "takes messages again" in str(mail.mails[-1][1]["Subject"])
    dead.refresh_from_db()
    assert not Channel.objects.filter(failing_since__isnull=False).exists()
    assert dead.last_error == ""
    assert not any(b"channel.failing" in request.body for request in hook.requests)


def test_one_failure_is_no_alarm(post: Post, hook: Receiver) -> None:
    post.webhook(hook)
    hook.answer = lambda request: 503
    post.event()
    post.round()
    hook.answer = lambda request: 204
    post.again()
    post.round()
    assert list(Event.objects.values_list("kind", flat=True)) == ["backup.failed"]


def test_when_a_channel_is_back_what_waits_is_sent_at_once(post: Post, hook: Receiver) -> None:
    channel = post.webhook(hook)
    post.event()
    route_events()
    delivery = outbox.claim(channel)
    assert delivery is not None
    outbox.failed(delivery, AWAY)
    post.round()
    assert hook.requests == []
    outbox.target_ok(Channel.objects.get())
    post.round()
    assert len(hook.requests) == 1


def test_a_message_that_cannot_be_made_is_a_failure_that_is_told(
    post: Post, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError

    post.webhook(hook)
    post.event()
    monkeypatch.setattr("notifications.services.send.compose", broken)
    post.round()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error) == ("waiting", "It cannot be sent (ZeroDivisionError).")


def test_old_events_go_and_what_waits_stays(post: Post, hook: Receiver, settings: object) -> None:
    settings.BACKUPSITE_KEEP_EVENTS_DAYS = 10  # type: ignore[attr-defined]
    post.webhook(hook)
    old = timezone.now() - timedelta(days=11)
    post.event(message="old and sent")
    post.round()
    post.event(message="old and waiting")
    route_events()
    Event.objects.update(created_at=old)
    Delivery.objects.update(created_at=old)
    post.event(message="young")
    route_events()
    assert forget_old() > 0
    assert set(Event.objects.values_list("message", flat=True)) == {"old and waiting", "young"}
    assert forget_old() == 0


def test_messages_of_a_rule_go_one_after_the_other(post: Post, hook: Receiver) -> None:
    channel = post.webhook(hook)
    post.event()
    route_events()
    first = outbox.claim(channel)
    assert first is not None
    outbox.failed(first, AWAY)
    post.event()
    route_events()
    assert Delivery.objects.filter(state="waiting").count() == 2
    assert outbox.claim(channel) is None  # the second one collects while the first one waits for its next attempt
