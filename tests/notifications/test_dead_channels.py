"""A channel that takes the connection and never answers holds up nobody."""

import time
from collections.abc import Iterator

import pytest

from notifications.models import Channel, Delivery, Event
from notifications.services import deliver, send
from notifications.services.deliver import Postman
from notifications.services.try_channel import try_channel
from tests.live import busy
from tests.notifications.conftest import Post, until
from tests.notifications.receivers import MailServer, Receiver, black_hole


@pytest.fixture
def hole() -> Iterator[int]:
    with black_hole() as port:
        yield port


def test_a_black_hole_and_a_hanging_webhook_hold_up_neither_the_rounds_nor_the_others(
    post: Post, hook: Receiver, mail: MailServer, hole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifications.senders.email.STEP_S", 7)
    hook.hold.set()
    hung = post.webhook(hook)
    black = post.email(hole, name="Black hole")
    good = post.email(mail.port, name="Good")
    postman = Postman()
    for number in range(3):
        post.event(message=f"failure {number}")
        began = time.monotonic()
        postman.round()
        assert time.monotonic() - began < 3 * busy()  # a round starts threads and waits for none
        assert_sent(postman, good, number + 1)
    until(lambda: len(hook.requests) == 1)
    held = Delivery.objects.filter(lease_token__isnull=False)
    assert set(held.values_list("channel", flat=True)) == {hung.pk, black.pk}
    assert len(mail.mails) == 3
    assert len(hook.requests) == 1  # one attempt at a time
    hook.ended.set()
    postman.wait(60)
    errors = dict(Delivery.objects.filter(attempts=1, state="waiting").values_list("channel__name", "error"))
    assert "does not answer" in errors["Black hole"]
    assert errors["Hook"]


def assert_sent(postman: Postman, channel: Channel, count: int) -> None:
    """While the dead channels are still being waited for."""

    def sent() -> bool:
        postman.round()
        return channel.deliveries.filter(state="sent").count() == count

    until(sent, seconds=6)


def test_who_drips_is_cut_at_the_deadline(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "SEND_S", 1.5)
    with black_hole(drip=b"2") as mail_port, black_hole(drip=b"H") as http_port:
        post.email(mail_port)
        post.webhook(f"http://127.0.0.1:{http_port}/")
        post.event()
        began = time.monotonic()
        post.round()
        assert time.monotonic() - began < 10 * busy()
    errors = list(Delivery.objects.values_list("error", flat=True))
    assert len(errors) == 2
    assert all(error.startswith("There was no end to it") for error in errors)


def test_an_attempt_that_nothing_ends_is_given_up_and_keeps_only_its_own_channel(
    post: Post, hook: Receiver, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.hold.set()
    post.webhook(hook)
    postman = Postman()
    post.event()
    postman.round()
    until(lambda: hook.requests)
    monkeypatch.setattr(deliver, "GIVE_UP_S", 0.0)
    postman.round()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error) == ("waiting", str(deliver.STUCK))
    post.again()
    postman.round()
    assert len(hook.requests) == 1  # its thread still hangs: no second one is started
    monkeypatch.undo()
    post.email(mail.port)
    post.event()
    postman.round()
    until(lambda: mail.mails)
    hook.ended.set()
    postman.wait(60)
    assert Delivery.objects.filter(channel__kind="webhook", attempts=1).count() == 1  # what it says now is too late


def test_a_dead_channel_is_known_as_failing(post: Post, hole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifications.senders.email.STEP_S", 0.3)
    channel = post.email(hole)
    post.event()
    for _ in range(3):
        post.again()
        post.round()
    channel.refresh_from_db()
    assert channel.failing_since is not None
    assert Event.objects.get(kind="channel.failing").subject_id == channel.pk


def test_the_test_button_ends_in_time_where_nobody_answers(
    post: Post, hole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifications.services.try_channel.TEST_S", 1.0)
    report = try_channel(channel=Channel.objects.get(pk=post.email(hole).pk))
    assert (report.ok, report.code) == (False, "timeout")
