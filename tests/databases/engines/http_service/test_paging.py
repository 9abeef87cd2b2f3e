"""From the first page to the last, and neither one page less nor the same page for ever."""

import json
from typing import Any

import pytest

from databases.engines.http_service.ending import next_link
from jobs.errors import BackupError
from tests.databases.engines.http_service.services import FORMS, dumped
from tests.servers import scripts
from tests.servers.records import RecordsServer, user

PAGE = scripts.body(b'{"data": {"items": [1, 2]}}')


def users(service: RecordsServer, count: int) -> None:
    service.fill("users", [user(number) for number in range(1, count + 1)])


def ids(data: bytes) -> list[int]:
    return [json.loads(line)["id"] for line in data.splitlines()]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250, 300])
def test_every_record_comes_once_and_in_order(records_service: RecordsServer, form: str, count: int) -> None:
    users(records_service, count)
    found = dumped(records_service, form)
    assert ids(found.data) == list(range(1, count + 1))
    assert found.manifest["records"] == count


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("page", {}),
        ("page", {"page_size_param": "size", "page_size": 100}),
        ("page", {"page_size_param": "size", "page_size": 500}),  # more than the service gives
        ("page", {"page_size_param": "limit", "page_size": 20}),  # a parameter it does not know
        ("page", {"page_size_param": "size", "page_size": 7}),
        ("cursor", {"page_size_param": "size", "page_size": 30}),
        ("link", {"page_size_param": "size", "page_size": 30}),
        ("cursor", {"method": "POST", "page_size_param": "size", "page_size": 30}),
    ],
)
def test_a_service_that_gives_other_pages_than_asked_for_loses_nothing(
    records_service: RecordsServer, form: str, options: dict[str, Any]
) -> None:
    records_service.most_a_page = 100
    users(records_service, 250)
    assert ids(dumped(records_service, form, **options).data) == list(range(1, 251))


def test_a_short_page_is_no_end(records_service: RecordsServer) -> None:
    """A service may leave out of a page what these credentials may not see."""
    pages = (b"1, 2", b"3", b"4, 5", b"")
    records_service.script.extend(scripts.body(b'{"data": {"items": [%s]}}' % page) for page in pages)
    assert dumped(records_service, "page", page_size_param="size", page_size=2).data == b"1\n2\n3\n4\n5\n"
    assert [asked.query["page"] for asked in records_service.asked] == ["1", "2", "3", "4"]


def test_pages_may_begin_at_zero_and_parameters_join_those_of_the_url(records_service: RecordsServer) -> None:
    page = b'{"data": {"items": [%s]}}'
    records_service.script.extend([scripts.body(page % b"1"), scripts.body(page % b"")])
    url = f"{records_service.url}/page/users?p=9&fields=a%20b"
    dumped(records_service, "page", url=url, page_param="p", page_start=0)
    assert [asked.query for asked in records_service.asked] == [
        {"fields": "a b", "p": "0"},
        {"fields": "a b", "p": "1"},
    ]


@pytest.mark.parametrize(
    "answers",
    [
        [scripts.status(404, body={})],
        [PAGE, scripts.status(404, body={"detail": "Invalid page."})],
        [PAGE, scripts.status(404, body={"message": "no Route matched with those values"})],
        [PAGE, scripts.status(404, body=b"<html>", type="text/html")],
    ],
)
def test_a_404_is_a_failure_and_no_end(records_service: RecordsServer, answers: list[scripts.Script]) -> None:
    records_service.script.extend(answers)
    with pytest.raises(BackupError) as raised:
        dumped(records_service, "page")
    assert (raised.value.code, raised.value.permanent) == ("not_found", True)
    assert ("pagination link" in raised.value.hint) == (len(answers) > 1)


@pytest.mark.parametrize("form", ["page", "cursor", "link"])
def test_a_service_that_goes_round_in_circles_is_left(records_service: RecordsServer, form: str) -> None:
    around = {
        "page": scripts.body(b'{"data": {"items": [1]}}'),
        "cursor": scripts.body(b'{"items": [1], "meta": {"next": "again"}}'),
        "link": scripts.body(b"[1]", headers={"Link": '</link/users?page=2>; rel="next"'}),
    }
    records_service.script.extend([around[form]] * 50)
    with pytest.raises(BackupError) as raised:
        dumped(records_service, form)
    assert (raised.value.code, raised.value.permanent) == ("page_loop", True)
    assert len(records_service.asked) <= 3


def test_more_pages_than_allowed_fail(records_service: RecordsServer) -> None:
    users(records_service, 500)
    with pytest.raises(BackupError) as raised:
        dumped(records_service, "cursor", max_pages=3)
    assert (raised.value.code, raised.value.permanent) == ("too_many_pages", True)
    assert len(records_service.asked) == 3
    assert dumped(records_service, "cursor", max_pages=5).manifest["pages"] == 5


@pytest.mark.parametrize(
    ("cursor", "sent"),
    [
        ('"a b&c=d/é\\u0041"', "a b&c=d/éA"),
        ("12345678901234567890", "12345678901234567890"),
        ("1.50", "1.50"),
    ],
)
def test_a_cursor_is_sent_as_it_was_told(records_service: RecordsServer, cursor: str, sent: str) -> None:
    first = f'{{"meta": {{"next": {cursor}}}, "items": [1]}}'.encode()
    records_service.script.extend([scripts.body(first), scripts.body(b'{"items": [2]}')])
    assert dumped(records_service, "cursor").data == b"1\n2\n"
    assert records_service.asked[1].query == {"cursor": sent}


@pytest.mark.parametrize("end", ["null", '""', "false"])
def test_the_last_cursor_may_be_nothing(records_service: RecordsServer, end: str) -> None:
    records_service.script.append(scripts.body(f'{{"items": [1], "meta": {{"next": {end}}}}}'.encode()))
    assert dumped(records_service, "cursor").data == b"1\n"


def test_a_cursor_that_is_an_object_is_refused(records_service: RecordsServer) -> None:
    records_service.script.append(scripts.body(b'{"items": [1], "meta": {"next": {"a": 1}}}'))
    with pytest.raises(BackupError) as raised:
        dumped(records_service, "cursor")
    assert raised.value.code == "bad_cursor"


def test_the_next_address_may_be_in_the_answer(records_service: RecordsServer) -> None:
    first = {"results": [1], "next": f"{records_service.url}/list/users?page=2"}
    records_service.script.extend(scripts.status(200, body=value) for value in (first, {"results": [2], "next": None}))
    found = dumped(records_service, "link", records_path="results", cursor_path="next")
    assert found.data == b"1\n2\n"
    assert records_service.asked[1].query == {"page": "2"}


@pytest.mark.parametrize(
    "link", ["http://127.0.0.2:{port}/x", "https://127.0.0.1:{port}/x", "//elsewhere.example/x", "http://[x/"]
)
def test_a_link_elsewhere_is_not_followed(records_service: RecordsServer, link: str) -> None:
    target = link.format(port=records_service.url.rpartition(":")[2])
    records_service.script.append(scripts.body(b"[1]", headers={"Link": f"<{target}>; rel=next"}))
    with pytest.raises(BackupError) as raised:
        dumped(records_service, "link")
    assert (raised.value.code, raised.value.permanent) == ("redirected", True)
    assert len(records_service.asked) == 1


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], ""),
        (['</a>; rel="prev", </b>; rel="next"'], "/b"),
        (["</a>; rel=prev", '</b?x=1,2;y>; title="a, b; c"; rel=next'], "/b?x=1,2;y"),
        (['<https://h/c>; rel="last NEXT"'], "https://h/c"),
        (['</a>; rel="nextish"', "nonsense"], ""),
        (['</a>; title="rel=next"; rel="prev"'], ""),
    ],
)
def test_the_next_link_is_found_among_others(headers: list[str], found: str) -> None:
    assert next_link(headers) == found
