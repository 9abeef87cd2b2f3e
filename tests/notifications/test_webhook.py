"""Webhooks, verified by somebody else's implementation of Standard Webhooks."""

import json
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from notifications.message import compose
from notifications.models import Channel, Delivery, Event
from notifications.senders.webhook import MOST_BYTES, body_of
from notifications.services.save_channel import drop_old_secret, rotate_secret
from tests.notifications.conftest import Post
from tests.notifications.receivers import Receiver


def test_a_message_is_signed_and_says_what_happened(post: Post, hook: Receiver, settings: object) -> None:
    settings.BACKUPSITE_PUBLIC_URL = "https://backups.example.com"  # type: ignore[attr-defined]
    channel = post.webhook(hook)
    since = timezone.now() - timedelta(days=3)
    post.event(hint="Look at the log.", data={"last_good_at": None, "since": since})
    post.round()
    [request] = hook.requests
    body = Webhook(post.secret(channel)).verify(request.body, request.headers)
    assert (request.method, request.path, request.headers["content-type"]) == ("POST", "/hook", "application/json")
    assert (body["type"], body["data"]["count"]) == ("backup.failed", 1)
    [event] = body["data"]["events"]
    assert event["message"] == "The backup of Shop failed."
    assert event["hint"] == "Look at the log."
    assert event["data"] == {"last_good_at": None, "since": since.isoformat()}
    assert event["link"] == "https://backups.example.com/admin/backups/backup/bkp_aaaaaaaaaaaa/change/"
    delivery = Delivery.objects.get()
    assert (delivery.state, request.headers["webhook-id"]) == ("sent", delivery.message_id)


def test_a_body_that_was_changed_is_found_out(post: Post, hook: Receiver) -> None:
    channel = post.webhook(hook)
    post.event()
    post.round()
    [request] = hook.requests
    with pytest.raises(WebhookVerificationError):
        Webhook(post.secret(channel)).verify(request.body.replace(b"Shop", b"Shoq"), request.headers)


def test_while_the_secret_changes_the_old_and_the_new_one_hold(post: Post, hook: Receiver) -> None:
    channel = post.webhook(hook)
    old = post.secret(channel)
    new = rotate_secret(channel=channel)
    post.event()
    post.round()
    for secret in (old, new):
        Webhook(secret).verify(hook.requests[0].body, hook.requests[0].headers)
    drop_old_secret(channel=Channel.objects.get())
    post.event()
    post.round()
    Webhook(new).verify(hook.requests[1].body, hook.requests[1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(hook.requests[1].body, hook.requests[1].headers)


def test_a_redirect_is_not_followed(post: Post, hook: Receiver) -> None:
    hook.answer, hook.location = lambda request: 307, f"{hook.url}/elsewhere"
    post.webhook(hook)
    post.event()
    post.round()
    assert [request.path for request in hook.requests] == ["/hook"]
    assert "redirect" in Delivery.objects.get().error


def test_it_goes_to_no_address_of_the_link_or_of_a_cloud(post: Post) -> None:
    post.webhook("http://169.254.169.254/latest/meta-data")
    post.event()
    post.round()
    assert "where requests may not go" in Delivery.objects.get().error


def test_it_goes_to_no_network_that_is_not_allowed(post: Post, hook: Receiver, settings: object) -> None:
    settings.BACKUPSITE_ENGINE_SETTINGS = {"allowed_networks": ["10.0.0.0/8"]}  # type: ignore[attr-defined]
    post.webhook(hook)
    post.event()
    post.round()
    assert hook.requests == []
    assert "BACKUPSITE_ALLOWED_NETWORKS" in Delivery.objects.get().error


def test_a_message_that_the_receiver_refuses_is_given_up_and_the_next_one_goes_out(post: Post, hook: Receiver) -> None:
    post.webhook(hook)
    post.event(message="a poisoned one")
    hook.answer = lambda request: 422 if b"poisoned" in request.body else 204
    post.round()
    post.event(message="a good one")
    for _ in range(6):
        post.again()
        post.round()
    states = dict(Delivery.objects.filter(events__kind="backup.failed").values_list("events__message", "state"))
    assert states == {"a poisoned one": "failed", "a good one": "sent"}
    assert Delivery.objects.get(events__message="a poisoned one").attempts == 5


def test_the_body_is_bounded_however_long_the_events_are() -> None:
    data = {"text": "ü" * 20_000}
    events = [
        Event(pk=n, kind="backup.failed", severity="error", subject_id="x", message="m" * 9000, hint="", data=data)
        for n in range(60)
    ]
    body = body_of(compose("msg_x", events))
    document = json.loads(body)
    assert len(body) <= MOST_BYTES
    assert document["data"]["count"] == 60
    assert 0 < len(document["data"]["events"]) < 50


@pytest.mark.parametrize("url", ["ftp://example.com/", "https://", "https://me:word@example.com/", "http://a b/"])
def test_an_address_that_cannot_be_meant_is_refused(post: Post, url: str) -> None:
    with pytest.raises(ValidationError) as raised:
        post.webhook(url)
    assert list(raised.value.message_dict) == ["url"]


def test_a_secret_that_is_given_must_be_long_enough(post: Post) -> None:
    with pytest.raises(ValidationError) as raised:
        post.webhook("https://example.com/", secret="whsec_c2hvcnQ=")
    assert "c2hvcnQ" not in str(raised.value)
