"""An incremental asks for what changed since its parent began, by the service's own clock."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from databases.engines.base import RestoreRequest
from jobs.errors import BackupError
from tests.contracts.engines import Dumped, RecordingGuard
from tests.databases.engines.http_service.services import FORMS, dumped, engine_for, full
from tests.servers import scripts
from tests.servers.records import Handler, RecordsServer, order, user

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_noon(records_service: RecordsServer) -> None:
    records_service.date = lambda: format_datetime(NOON, usegmt=True)
    records_service.fill("users", [user(number) for number in range(1, 301)])


def since(found: Dumped) -> datetime:
    return datetime.fromisoformat(found.manifest["until"])


@pytest.mark.parametrize(
    ("form", "options"),
    [*((form, {}) for form in FORMS if form != "link"), ("cursor", {"method": "POST"})],
)
def test_only_what_is_new_or_changed_comes(records_service: RecordsServer, form: str, options: dict[str, Any]) -> None:
    options = {**options, "since_param": "since"}
    parent = dumped(records_service, form, **options)
    assert (parent.manifest["since"], parent.manifest["records"]) == (None, 300)
    later = (NOON + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for number in (7, *range(301, 520)):
        records_service.collections["users"][str(number)] = user(number, updated_at=later)
    child = dumped(records_service, form, full(type="incremental", parent=parent.parent()), **options)
    assert sorted(json.loads(line)["id"] for line in child.data.splitlines()) == [7, *range(301, 520)]
    assert child.manifest["since"] == parent.manifest["until"]
    target = engine_for(records_service, form, **options)
    records_service.collections["users"].clear()
    report = target.restore([parent.source(), child.source()], RestoreRequest(guard=RecordingGuard()))
    assert report.counts == {"users": 520}
    assert records_service.collections["users"]["7"]["updated_at"] == later
    assert len(records_service.collections["users"]) == 519


def test_a_link_is_followed_as_it_is(records_service: RecordsServer) -> None:
    """Its query is the service's own business, the watermark included."""
    parent = dumped(records_service, "link", since_param="since")
    records_service.asked.clear()
    records_service.script.append(scripts.body(b"[1]", headers={"Link": '</link/users?page=3&x=1>; rel="next"'}))
    dumped(records_service, "link", full(type="incremental", parent=parent.parent()), since_param="since")
    assert records_service.asked[0].query == {"since": parent.manifest["until"]}
    assert records_service.asked[1].query == {"page": "3", "x": "1"}


def test_the_watermark_is_the_services_own_time_before_it_began_to_read(records_service: RecordsServer) -> None:
    found = dumped(records_service)
    assert NOON - timedelta(seconds=30) <= since(found) < NOON
    records_service.script.append(scripts.slow([b"[]"], 1.2))
    assert since(dumped(records_service)) >= NOON - timedelta(seconds=30), "what its body takes does not matter"


def test_what_the_service_took_for_its_answer_is_taken_off(records_service: RecordsServer) -> None:
    def thinking(handler: Handler) -> bool:
        time.sleep(1.2)
        return False

    records_service.script.append(thinking)
    assert since(dumped(records_service)) <= NOON - timedelta(seconds=2)


def test_without_a_date_our_own_clock_is_taken(records_service: RecordsServer) -> None:
    records_service.date = lambda: "sometime"
    before = datetime.now(UTC).replace(microsecond=0)
    assert before <= since(dumped(records_service)) <= datetime.now(UTC)


def test_several_collections_continue_together(records_service: RecordsServer) -> None:
    records_service.fill("orders", [order(1)])
    options: dict[str, Any] = {"collection": "users,orders", "since_param": "since"}
    parent = dumped(records_service, "page", **options)
    child = dumped(records_service, "page", full(type="incremental", parent=parent.parent()), **options)
    assert (child.data, child.manifest["counts"]) == (b"", {"users": 0, "orders": 0})
    assert child.manifest["format"] == "tagged"


def test_an_incremental_continues_only_the_same_records(records_service: RecordsServer) -> None:
    options: dict[str, Any] = {
        "since_param": "since",
        "url": f"{records_service.url}/list/{{collection}}?key=a",
        "headers": {"X-Tenant": "one", "X-Key": "two"},
    }
    engine = engine_for(records_service, **options)
    manifest = dumped(records_service, **options).manifest
    assert engine.continues(manifest)
    assert engine.full_every == 7
    assert engine_for(records_service, **options, full_every=3).full_every == 3
    changes: list[dict[str, Any]] = [
        *({"url": options["url"] + "b"}, {"records_path": "x"}, {"collection": "orders"}, {"method": "POST"}),
        *({"since_param": ""}, {"since_param": "changed_since"}),
        *({"pagination": "page"}, {"pagination": "link"}, {"page_param": "p"}, {"page_start": 0}),
        *({"page_size": 50, "page_size_param": "size"}, {"cursor_param": "after"}, {"cursor_path": "next"}),
        *({"headers": {"X-Tenant": "one"}}, {"auth": "bearer", "token": "x"}),
        *({"auth": "basic", "username": "ada"}, {"auth": "basic", "username": "grace"}),
    ]
    for change in changes:
        assert not engine_for(records_service, **{**options, **change}).continues(manifest)
    assert not engine.continues({})


def test_a_new_secret_is_no_new_service_and_is_in_no_manifest(records_service: RecordsServer) -> None:
    options: dict[str, Any] = {"since_param": "since", "auth": "basic", "username": "ada"}
    manifest = dumped(records_service, **options, password="first", headers={"X-Key": "one"}).manifest
    other = engine_for(records_service, **options, password="second", headers={"x-key": "two"})
    assert other.continues(json.loads(json.dumps(manifest)))
    assert not engine_for(records_service, **{**options, "username": "grace"}, headers={"X-Key": "one"}).continues(
        manifest
    )
    again = dumped(records_service, **options, password="second", headers={"X-Key": "two"}).manifest
    assert again["auth_sha256"] == manifest["auth_sha256"], "a digest of a secret could be guessed from"


def test_an_incremental_that_cannot_be_is_refused(records_service: RecordsServer) -> None:
    parent = dumped(records_service, since_param="since").parent()
    with pytest.raises(BackupError) as raised:
        dumped(records_service, "list", full(type="incremental", parent=parent))
    assert (raised.value.code, raised.value.permanent) == ("unsupported", True)
    assert "since_param" in raised.value.hint
    for wrong in (None, replace(parent, manifest={})):
        with pytest.raises(BackupError) as raised:
            dumped(records_service, "list", full(type="incremental", parent=wrong), since_param="since")
        assert (raised.value.code, raised.value.permanent) == ("no_parent", True)
