"""Half an answer is a failure, and so is an answer of the wrong kind: nothing of it is taken for a backup."""

from itertools import repeat

import pytest

from jobs.errors import BackupError
from tests.databases.engines.http_service.services import dumped
from tests.servers import scripts
from tests.servers.records import RecordsServer

LIST = b'[{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}]'
LINES = b'{"id": 1}\n{"id": 2}\n'
NDJSON = "application/x-ndjson"
HTML = b"<!doctype html><title>Sign in</title>"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (scripts.body(LIST, length=2 * len(LIST)), "incomplete_body"),
        (scripts.body(LIST[:20], length=len(LIST)), "incomplete_body"),
        (scripts.body(LINES, type=NDJSON, length=2 * len(LINES)), "incomplete_body"),
        (scripts.chunks(LIST[:20], LIST[20:], end=False), "incomplete_body"),
        (scripts.chunks(LINES, type=NDJSON, end=False), "incomplete_body"),
        (scripts.chunks(LIST[:20], end=False), "incomplete_body"),
        (scripts.body(LIST[:-1]), "incomplete_body"),
        (scripts.body(LIST[:-20]), "incomplete_body"),
        (scripts.body(LIST[:1]), "incomplete_body"),
        (scripts.unbounded(LIST[:-1]), "incomplete_body"),
        (scripts.unbounded(LINES, type=NDJSON), "incomplete_body"),
        (scripts.body(LINES[:-4], type=NDJSON), "incomplete_body"),
        (scripts.body(b"1\n2\n34", type=NDJSON), "incomplete_body"),
        (scripts.body(LIST + b"x"), "not_json"),
        (scripts.body(LIST + LIST), "not_json"),
        (scripts.body(LIST + b"]"), "not_json"),
        (scripts.body(LINES + b"{} {}\n", type=NDJSON), "not_json"),
        (scripts.body(LINES + HTML, type=NDJSON), "not_json"),
        (scripts.body(HTML, type="text/html"), "not_json"),
        (scripts.body(HTML), "not_json"),
        (scripts.body(b""), "not_json"),
        (scripts.body(b"", type="text/plain"), "not_json"),
        (scripts.body(b'"text"'), "not_json"),
        (scripts.body(LIST, headers={"Content-Encoding": "gzip"}), "not_json"),
        (scripts.body(LIST.decode().encode("utf-16")), "not_json"),
        (scripts.body(b'{"items": []}'), "no_records"),
        (scripts.status(204), "refused"),
        (scripts.status(206, body=LIST), "refused"),
    ],
)
def test_what_is_not_whole_fails_and_says_why(
    records_service: RecordsServer, script: scripts.Script, code: str
) -> None:
    records_service.script.extend(repeat(script, 10))
    with pytest.raises(BackupError) as raised:
        dumped(records_service)
    assert raised.value.code == code
    assert raised.value.permanent == (code != "incomplete_body")


@pytest.mark.parametrize(
    "answer",
    [
        b'{"items": {}}',
        b'{"items": "x"}',
        b'{"data": []}',
        b'{"items": 1}',
        b"[]",
    ],
)
def test_a_path_that_leads_to_no_list_is_told(records_service: RecordsServer, answer: bytes) -> None:
    records_service.script.append(scripts.body(answer))
    with pytest.raises(BackupError) as raised:
        dumped(records_service, records_path="items")
    assert (raised.value.code, raised.value.permanent) == ("no_records", True)
    assert "records_path" in raised.value.hint


@pytest.mark.parametrize(
    "answer", [b'{"items": null}', b'{"items": [], "x": {"items": 1}}', b'{"x": {"y": [1]}, "items": [ ]}']
)
def test_a_list_may_be_empty_or_null(records_service: RecordsServer, answer: bytes) -> None:
    records_service.script.append(scripts.body(answer))
    assert dumped(records_service, records_path="items").data == b""


def test_more_bytes_than_allowed_fail(records_service: RecordsServer) -> None:
    records_service.fill("users", [{"id": number, "text": "x" * 1000} for number in range(1000)])
    with pytest.raises(BackupError) as raised:
        dumped(records_service, "page", max_bytes=500_000)
    assert (raised.value.code, raised.value.permanent) == ("too_large", True)
    assert len(records_service.asked) < 8
