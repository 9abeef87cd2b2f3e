"""Dead-man's pings: asked at every run of a Database, as healthchecks.io takes them."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from backups.services.request import request_backup
from jobs.models import Status
from notifications.models import Delivery, Event, Ping
from notifications.senders.ping import address_of
from notifications.services.save_ping import save_ping, signal
from tests.api import make_database
from tests.notifications.conftest import Post
from tests.notifications.receivers import Receiver
from tests.room import finish, local_destination, register_service
from tests.servers.records import RecordsServer, sample


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("https://hc-ping.com/abc", "https://hc-ping.com/abc/start"),
        ("https://hc-ping.com/abc/", "https://hc-ping.com/abc/start"),
        ("https://example.com/ping?key=1", "https://example.com/ping/start?key=1"),
    ],
)
def test_the_signal_is_a_part_of_the_path(url: str, start: str) -> None:
    assert address_of(url, "start") == start
    assert address_of(url, "ok") == url


def test_a_run_signals_its_start_and_its_end(
    post: Post, hook: Receiver, records_service: RecordsServer, tmp_path: Path, settings: Any
) -> None:
    settings.BACKUPSITE_MAX_ATTEMPTS = 1
    sample(records_service, 3)
    local_destination(tmp_path / "disk")
    database = register_service(records_service, options={"records_path": "data.items", "pagination": "page"}, id="crm")
    save_ping(database_id="crm", url=f"{hook.url}/uuid")
    backup = request_backup(database=database)
    finish(backup)
    post.round()
    assert backup.status == Status.COMPLETED
    signals = Delivery.objects.order_by("pk").values_list("signal", "state")
    assert list(signals) == [("start", "dropped"), ("ok", "sent")]  # the start was of the past by then
    assert [request.path for request in hook.requests] == ["/uuid"]
    shutil.rmtree(tmp_path / "disk")
    finish(request_backup(database=database))
    post.round()
    assert hook.requests[-1].path == "/uuid/fail"


def test_each_signal_has_its_address(post: Post, hook: Receiver) -> None:
    make_database("shop")
    save_ping(database_id="shop", url=f"{hook.url}/uuid")
    for one in ("start", "fail", "start", "ok"):
        signal(database_id="shop", signal=one)
        post.round()
    assert [request.path for request in hook.requests] == ["/uuid/start", "/uuid/fail", "/uuid/start", "/uuid"]
    assert {request.method for request in hook.requests} == {"GET"}


def test_who_wants_only_good_ends_gets_only_those(post: Post, hook: Receiver) -> None:
    make_database("shop")
    save_ping(database_id="shop", url=f"{hook.url}/uuid", start_and_fail=False)
    for one in ("start", "fail", "ok"):
        signal(database_id="shop", signal=one)
        post.round()
    assert [request.path for request in hook.requests] == ["/uuid"]


def test_a_dead_address_keeps_only_the_latest_signal_and_is_told_of(post: Post, hook: Receiver) -> None:
    make_database("shop")
    ping = save_ping(database_id="shop", url=f"{hook.url}/uuid")
    hook.answer = lambda request: 500
    for one in ("start", "fail", "start", "ok"):
        signal(database_id="shop", signal=one)
        post.round()
    assert sorted(Delivery.objects.values_list("signal", "state")) == [
        ("fail", "dropped"),
        ("ok", "waiting"),
        ("start", "dropped"),
        ("start", "dropped"),
    ]
    for _ in range(2):
        post.again()
        post.round()
    assert Event.objects.get(kind="ping.failing").database_id == "shop"
    hook.answer = lambda request: 200
    post.again()
    post.round()
    assert Event.objects.filter(kind="ping.recovered").exists()
    ping.refresh_from_db()
    assert ping.failing_since is None


def test_a_signal_of_long_ago_is_not_sent_for_days(post: Post, hook: Receiver) -> None:
    make_database("shop")
    save_ping(database_id="shop", url=f"{hook.url}/uuid")
    hook.answer = lambda request: 500
    signal(database_id="shop", signal="ok")
    Delivery.objects.update(created_at="2026-01-01T00:00:00Z")
    post.round()
    assert Delivery.objects.get().state == "failed"


def test_no_database_without_an_address_is_asked_for(post: Post) -> None:
    signal(database_id="shop", signal="ok")
    assert not Delivery.objects.exists()
    assert not Ping.objects.exists()
