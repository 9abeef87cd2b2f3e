"""A check says what a backup would run into; an inventory counts where that takes seconds."""

import time
from typing import Any

import pytest

from databases.engines.base import CheckReport
from databases.engines.http_service import check as looking
from tests.databases.engines.http_service.services import engine_for
from tests.live import busy
from tests.servers import scripts
from tests.servers.records import RecordsServer, sample


def check(service: RecordsServer, form: str = "list", **options: Any) -> CheckReport:
    return engine_for(service, form, **options).check()


def test_a_service_says_what_it_is(records_service: RecordsServer) -> None:
    sample(records_service, 300)
    report = check(records_service, "page", collection="users,orders")
    assert (report.ok, report.server_version, report.warnings) == (True, "Records/1.0", ())
    assert report.tool_version.startswith("urllib3 ")


def test_a_list_is_not_read_to_its_end(records_service: RecordsServer) -> None:
    records_service.script.append(scripts.hang_after(b"[" + b'{"id": 1},' * 50_000))
    began = time.monotonic()
    assert check(records_service).ok
    assert time.monotonic() - began < 2 * busy()


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (scripts.status(401, body={}), "auth"),
        (scripts.status(403, body={}), "permission"),
        (scripts.status(404, body={}), "not_found"),
        (scripts.status(503, body={}), "busy"),
        (scripts.body(b"<html>", type="text/html"), "not_json"),
        (scripts.body(b'{"items": []}'), "no_records"),
    ],
)
def test_a_fault_is_a_report_with_a_hint_at_once(
    records_service: RecordsServer, script: scripts.Script, code: str
) -> None:
    records_service.script.extend([script] * 3)
    report = check(records_service)
    assert (report.ok, report.code) == (False, code)
    assert report.hint
    assert len(records_service.asked) == 1, "somebody waits: it is not tried again"


@pytest.mark.parametrize("script", [scripts.hang, scripts.slow([b" "] * 30, 0.1)])
def test_a_service_that_gives_no_record_in_time_is_a_fault(
    records_service: RecordsServer, script: scripts.Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MOST_S", 1.0)
    records_service.script.append(script)
    report = check(records_service)
    assert (report.ok, report.code) == (False, "timeout")
    assert report.hint


def test_what_looks_wrong_is_a_warning(records_service: RecordsServer) -> None:
    records_service.fill("users", [])
    assert "empty" in check(records_service).warnings[0]
    sample(records_service, 5)
    assert "meta.after" in check(records_service, "cursor", cursor_path="meta.after").warnings[0]
    assert check(records_service, "cursor").warnings == ()


def test_credentials_in_clear_text_beyond_this_host_are_a_warning(records_service: RecordsServer) -> None:
    engine = engine_for(records_service, url="http://192.0.2.1/x", restore_url="", auth="bearer", token="x")
    assert looking._clear_text(engine.options)
    assert not looking._clear_text(engine_for(records_service, auth="bearer", token="x").options)


def test_an_inventory_counts_what_it_can_read(records_service: RecordsServer) -> None:
    sample(records_service, 250)
    found = engine_for(records_service, "cursor", collection="users,orders").inventory()
    assert [(item.name, item.kind, item.rows) for item in found.items] == [
        ("users", "collection", 250),
        ("orders", "collection", 500),
    ]
    assert found.size == sum(item.size or 0 for item in found.items) > 50_000


def test_a_large_collection_is_not_counted_and_told_as_the_service_says(
    records_service: RecordsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MOST_BYTES", 20_000)
    sample(records_service, 500)
    for form, rows in (("link", 500), ("cursor", None)):
        found = engine_for(records_service, form).inventory()
        assert [(item.rows, item.size) for item in found.items] == [(rows, None)]
        assert found.size is None


def test_a_slow_service_is_not_waited_for_long(records_service: RecordsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MOST_S", 1.0)
    records_service.script.extend([scripts.slow([b"[1"] + [b",1"] * 100, 0.1)])
    began = time.monotonic()
    found = engine_for(records_service).inventory()
    assert [(item.rows, item.size) for item in found.items] == [(None, None)]
    assert time.monotonic() - began < 4 * busy()
