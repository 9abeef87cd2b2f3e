"""A collection that ended too soon is a failure: what a service tells of further records is held against what came."""

from typing import Any

import pytest

from jobs.errors import BackupError
from tests.databases.engines.http_service.services import dumped, engine_for, full
from tests.servers import scripts
from tests.servers.records import RecordsServer, sample, user

NEXT = {"Link": '</more?page=2>; rel="next"'}
HUNDRED: dict[str, Any] = {"page_size_param": "size", "page_size": 100}


def failure(service: RecordsServer, form: str, *answers: bytes, **options: Any) -> tuple[str, bool]:
    service.script.extend(scripts.body(answer) for answer in answers)
    with pytest.raises(BackupError) as raised:
        dumped(service, form, **options)
    assert raised.value.hint
    return raised.value.code, raised.value.permanent


def test_one_page_of_several_is_no_backup(records_service: RecordsServer) -> None:
    sample(records_service, 250)
    assert failure(records_service, "link", pagination="none") == ("more_pages", True)
    report = engine_for(records_service, "link", pagination="none").check()
    assert (report.ok, report.code) == (False, "more_pages")


def test_an_answer_with_links_that_lead_to_no_next_page_is_whole(records_service: RecordsServer) -> None:
    records_service.script.append(scripts.body(b"[1]", headers={"Link": '</a>; rel="self", </>; rel="prev"'}))
    assert dumped(records_service, "list").data == b"1\n"


def test_a_link_to_a_next_page_beside_the_last_cursor_is_a_failure(records_service: RecordsServer) -> None:
    records_service.script.append(scripts.body(b'{"items": [1], "meta": {}}', headers=NEXT))
    assert failure(records_service, "cursor") == ("more_pages", True)


@pytest.mark.parametrize("cursor_path", ["paging.next", "meta.page.next", "items.next"])
def test_a_cursor_path_that_leads_through_no_object_is_told(records_service: RecordsServer, cursor_path: str) -> None:
    sample(records_service, 250)
    for form in ({}, {"pagination": "link"}):
        found = failure(records_service, "cursor", cursor_path=cursor_path, **form)
        assert found == ("cursor_missing", True)
    report = engine_for(records_service, "cursor", cursor_path=cursor_path).check()
    assert (report.ok, report.code) == (False, "cursor_missing")


@pytest.mark.parametrize(
    "answers",
    [
        [b'{"items": [1], "meta": {"next": "a"}}', b'{"items": [2], "meta": {}}'],
        [b'{"items": [1], "meta": {"next": "a"}}', b'{"items": [2], "meta": null}'],
        [b'{"items": [1], "meta": {"next": "a"}}', b'{"items": [2], "meta": {"next": ""}}'],
        [b'{"items": [1], "meta": {"next": "a"}}', b'{"items": [2]}'],
        [b'{"items": [1, 2], "meta": {"total": 2}}'],
        [b'{"meta": null, "items": [1, 2]}'],
    ],
)
def test_what_ends_a_collection_with_cursors(records_service: RecordsServer, answers: list[bytes]) -> None:
    records_service.script.extend(scripts.body(answer) for answer in answers)
    assert dumped(records_service, "cursor").data == b"1\n2\n"


def test_an_empty_collection_needs_no_place_for_a_cursor(records_service: RecordsServer) -> None:
    records_service.script.append(scripts.body(b'{"items": []}'))
    assert dumped(records_service, "cursor").data == b""


def test_an_incremental_of_one_page_trusts_the_path_that_its_parent_proved(records_service: RecordsServer) -> None:
    sample(records_service, 250)
    parent = dumped(records_service, "cursor", since_param="since")
    assert parent.manifest["led"]
    records_service.script.append(scripts.body(b'{"items": [{"id": 7}]}'))
    request = full(type="incremental", parent=parent.parent())
    child = dumped(records_service, "cursor", request, since_param="since")
    assert (child.manifest["records"], child.manifest["led"]) == (1, True)


@pytest.mark.parametrize(("form", "code"), [("cursor", "cursor_missing"), ("link", "link_missing")])
def test_a_first_page_that_is_full_and_leads_nowhere_is_a_failure(
    records_service: RecordsServer, form: str, code: str
) -> None:
    numbers = b", ".join(b"%d" % number for number in range(100))
    answer = b"[%s]" % numbers if form == "link" else b'{"items": [%s], "meta": {}}' % numbers
    assert failure(records_service, form, answer, **HUNDRED) == (code, True)
    records_service.script.append(scripts.body(answer, headers={"X-Total-Count": "100"}))
    assert dumped(records_service, form, **HUNDRED).manifest["records"] == 100, "the service says that these are all"
    records_service.script.append(scripts.body(answer))
    assert dumped(records_service, form, page_size_param="size", page_size=101).manifest["records"] == 100


def test_a_service_that_never_gave_a_link_is_warned_of(records_service: RecordsServer) -> None:
    records_service.fill("users", [user(1)])
    assert "Link header" in engine_for(records_service, "link").check().warnings[0]
    sample(records_service, 250)
    assert engine_for(records_service, "link").check().warnings == ()


@pytest.mark.parametrize(
    ("form", "answers"),
    [
        ("list", [b"[1, 2]"]),
        ("page", [b'{"data": {"items": [1, 2]}}', b'{"data": {"items": []}}']),
        ("cursor", [b'{"items": [1], "meta": {"next": "a"}}', b'{"items": [2], "meta": {}}']),
        ("link", [b"[1, 2]"]),
    ],
)
def test_fewer_records_than_the_first_answer_told_are_a_failure(
    records_service: RecordsServer, form: str, answers: list[bytes]
) -> None:
    def serve(told: str) -> None:
        first, *rest = answers
        records_service.script.append(scripts.body(first, headers={"X-Total-Count": told}))
        # What later answers tell does not count: records may be added and deleted meanwhile.
        records_service.script.extend(scripts.body(answer, headers={"X-Total-Count": "9"}) for answer in rest)

    serve("3")
    assert failure(records_service, form) == ("incomplete_collection", False)
    for told in ("2", "1", "many", "-3"):
        serve(told)
        assert dumped(records_service, form).data == b"1\n2\n"


def test_an_incremental_is_not_held_against_the_number_of_all(records_service: RecordsServer) -> None:
    sample(records_service, 5)
    parent = dumped(records_service, since_param="since")
    records_service.script.append(scripts.body(b"[1]", headers={"X-Total-Count": "5"}))
    request = full(type="incremental", parent=parent.parent())
    assert dumped(records_service, "list", request, since_param="since").data == b"1\n"
