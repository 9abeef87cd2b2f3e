"""What the service wrote is what the artefact holds, in every form of answer."""

import json
from dataclasses import replace
from typing import Any

import pytest

from databases.engines.http_service.engine import HttpEngine
from databases.engines.http_service.verify import verify_structure
from jobs.errors import BackupError
from tests.contracts.engines import RecordingGuard
from tests.databases.engines.http_service.services import dumped, full
from tests.databases.engines.http_service.test_cutting import EXACT
from tests.servers import scripts
from tests.servers.records import RecordsServer, sample

LINES = "".join(f"{text}\n" for text in EXACT).encode()
LIST = f"[{', '.join(EXACT)}]".encode()


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (scripts.body(LIST), {}),
        (scripts.body(b" \n" + LIST + b"\r\n\r\n"), {}),
        (scripts.chunks(LIST[:7], LIST[7:100], LIST[100:]), {}),
        (scripts.unbounded(LIST), {}),
        (scripts.body(LIST, type="text/plain"), {}),
        (scripts.body(LINES, type="application/x-ndjson"), {}),
        (scripts.body(LINES.replace(b"\n", b"\r\n\n"), type="application/jsonl; charset=utf-8"), {}),
        (scripts.chunks(LINES, type="application/x-ndjson"), {}),
        (scripts.body(b'{"a":1,"data":{"x":[1],"items":%s,"n":2},"b":[]}' % LIST), {"records_path": "data.items"}),
        (scripts.body(b'{"items" : %s }' % LIST), {"records_path": "items"}),
    ],
)
def test_every_form_of_answer_gives_the_same_lines(
    records_service: RecordsServer, script: scripts.Script, options: dict[str, Any]
) -> None:
    records_service.script.append(script)
    found = dumped(records_service, **options)
    assert found.data == LINES
    assert found.manifest["counts"] == {"users": len(EXACT)}


def test_objects_line_by_line_need_no_content_type(records_service: RecordsServer) -> None:
    records_service.script.append(scripts.body(b'{"a":1}\n{"a":2}', type="application/octet-stream"))
    assert dumped(records_service).data == b'{"a":1}\n{"a":2}\n'


def test_pretty_printed_records_come_on_one_line(records_service: RecordsServer) -> None:
    records = [{"a": {"b": [1, "x\ny", {}]}, "c": "  d  "}, {}]
    records_service.script.append(scripts.body(json.dumps(records, indent=4).encode()))
    lines = dumped(records_service).data.splitlines()
    assert [json.loads(line) for line in lines] == records


def test_several_collections_are_tagged_and_counted(records_service: RecordsServer) -> None:
    sample(records_service, 20)
    found = dumped(records_service, "page", collection="users, orders")
    lines = [json.loads(line) for line in found.data.splitlines()]
    assert [line["record"] for line in lines if line["collection"] == "orders"] == records_service.records("orders")
    assert (found.manifest["format"], found.manifest["counts"]) == ("tagged", {"users": 20, "orders": 40})
    assert found.manifest["collections"] == ["users", "orders"]
    assert found.manifest["records"] == 60


def test_one_of_several_collections_is_plain(records_service: RecordsServer) -> None:
    sample(records_service, 20)
    request = full(type="selective", include=("users",))
    found = dumped(records_service, "list", request, collection="users, orders")
    assert found.manifest["format"] == "records"
    assert [json.loads(line) for line in found.data.splitlines()] == records_service.records("users")
    excluded = dumped(records_service, "list", full(type="selective", exclude=("orders",)), collection="users,orders")
    assert excluded.data == found.data


def test_names_of_collections_are_data_and_not_paths(records_service: RecordsServer) -> None:
    name = '../a "b"/ü?x=1&y'
    records_service.fill(name, [{"id": 1}])
    records_service.fill("c", [{"id": 2}])
    found = dumped(records_service, collection=f"{name},c")
    assert records_service.asked[0].path == "/list/..%2Fa%20%22b%22%2F%C3%BC%3Fx%3D1%26y"
    assert json.loads(found.data.splitlines()[0]) == {"collection": name, "record": {"id": 1}}
    assert HttpEngine.records(found.data, found.manifest)[1] == {"collection": "c", "record": {"id": 2}}


@pytest.mark.parametrize(("form", "type"), [("list", "application/json"), ("lines", "application/x-ndjson")])
def test_no_record_is_an_empty_archive(records_service: RecordsServer, form: str, type: str) -> None:
    records_service.fill("users", [])
    found = dumped(records_service, form)
    assert (found.data, found.manifest["counts"]) == (b"", {"users": 0})


@pytest.mark.parametrize(
    ("include", "exclude"), [(("pets",), ()), ((), ("pets",)), ((), ("users", "orders")), (("users",), ("users",))]
)
def test_a_selection_that_leaves_nothing_is_refused(
    records_service: RecordsServer, include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    request = full(type="selective", include=include, exclude=exclude)
    with pytest.raises(BackupError) as raised:
        dumped(records_service, "list", request, collection="users,orders")
    assert (raised.value.code, raised.value.permanent) == ("nothing_matches", True)
    assert "users, orders" in raised.value.hint


def test_a_line_that_was_changed_or_lost_does_not_verify(records_service: RecordsServer) -> None:
    sample(records_service, 30)
    found = dumped(records_service, collection="users,orders")
    whole = found.data.splitlines(keepends=True)
    assert verify_structure(found.source(), RecordingGuard())["counts"] == {"users": 30, "orders": 60}
    other = whole[0].replace(b"users", b"pets")
    for lines in (whole[1:], [*whole, whole[0]], [b"{]\n", *whole[1:]], [other, *whole[1:]], [b"\n", *whole[1:]]):
        with pytest.raises(BackupError) as raised:
            verify_structure(replace(found, data=b"".join(lines)).source(), RecordingGuard())
        assert raised.value.code == "structure"
