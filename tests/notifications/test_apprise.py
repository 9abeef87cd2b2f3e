"""Chats and pagers: the Apprise library, sending to a real receiver by its json:// address."""

import json
import time

import pytest

from notifications.services.try_channel import try_channel
from tests.live import busy
from tests.notifications.conftest import Post
from tests.notifications.receivers import Receiver, black_hole, free_port


def test_it_reaches_what_apprise_knows(post: Post, hook: Receiver) -> None:
    address = hook.url.replace("http://", "json://")
    post.apprise(f"{address}/one", f"{address}/two")
    post.event()
    post.round()
    assert sorted(request.path for request in hook.requests) == ["/one", "/two"]
    body = json.loads(hook.requests[0].body)
    assert (body["title"], body["type"]) == ("[Backupsite] The backup of Shop failed.", "failure")
    assert "Database: shop" in body["message"]


def test_the_address_that_fails_is_named_by_its_number_only(post: Post, hook: Receiver) -> None:
    bad = f"json://user:c4nary@127.0.0.1:{free_port()}/c4nary"
    channel = post.apprise(hook.url.replace("http://", "json://"), bad)
    report = try_channel(channel=channel)
    assert (report.ok, report.code) == (False, "refused")
    assert "address 2 of 2" in report.error
    assert "c4nary" not in report.error + report.hint


def test_it_ends_where_nobody_answers(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifications.services.try_channel.TEST_S", 1.0)
    with black_hole() as port:
        channel = post.apprise(f"json://127.0.0.1:{port}/")
        began = time.monotonic()
        report = try_channel(channel=channel)
        assert (report.ok, report.code) == (False, "timeout")
        assert time.monotonic() - began < 4 * busy()  # the library alone would take longer
