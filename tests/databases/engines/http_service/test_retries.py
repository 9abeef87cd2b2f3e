"""A service that is busy or lost is asked again, for a bounded time, and never twice for what it has given."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from databases.engines.http_service import patience, wire
from databases.engines.http_service.faults import retry_after
from jobs.errors import BackupError
from tests.databases.engines.http_service.services import dumped
from tests.servers import scripts
from tests.servers.records import RecordsServer, sample

LIST = b"[1, 2, 3]"


@pytest.mark.parametrize(
    "script",
    [
        scripts.status(429, body={}),
        scripts.status(500, body={}),
        scripts.status(502, body=b"<html>", type="text/html"),
        scripts.status(503, body={}, headers={"Retry-After": "0"}),
        scripts.drop,
        scripts.body(b"", length=10),
        scripts.body(b"[", length=10),
        scripts.chunks(b" [", end=False),
    ],
)
def test_what_may_pass_is_tried_again(records_service: RecordsServer, script: scripts.Script) -> None:
    records_service.script.extend([script, script, scripts.body(LIST)])
    assert dumped(records_service).data == b"1\n2\n3\n"
    assert len(records_service.asked) == 3


def test_it_is_tried_a_bounded_number_of_times(records_service: RecordsServer) -> None:
    records_service.script.extend([scripts.status(503, body={})] * 20)
    with pytest.raises(BackupError) as raised:
        dumped(records_service)
    assert (raised.value.code, raised.value.permanent) == ("busy", False)
    assert len(records_service.asked) == 4


def test_the_real_pauses_grow_and_end_within_half_a_minute() -> None:
    pauses = wire.PAUSES_S
    assert list(pauses) == sorted(pauses)
    assert 1.5 * sum(pauses) < 30


@pytest.mark.parametrize("number", [400, 401, 403, 404, 405, 409, 418, 422])
def test_what_will_not_pass_is_not_tried_again(records_service: RecordsServer, number: int) -> None:
    records_service.script.append(scripts.status(number, body={"detail": "no"}))
    with pytest.raises(BackupError) as raised:
        dumped(records_service)
    assert raised.value.permanent
    assert str(number) in raised.value.message
    assert len(records_service.asked) == 1


def test_a_page_that_broke_after_a_record_fails_the_attempt(records_service: RecordsServer) -> None:
    """Its records are in the stream: asked for again they would be there twice."""
    sample(records_service, 250)
    half = b'{"data": {"items": [{"id": 101}, {"id"'
    records_service.script.extend([scripts.as_always, scripts.body(half, length=9999)])
    with pytest.raises(BackupError) as raised:
        dumped(records_service, "page")
    assert (raised.value.code, raised.value.permanent) == ("incomplete_body", False)
    assert len(records_service.asked) == 2


def test_a_later_page_that_breaks_before_a_record_is_tried_again(records_service: RecordsServer) -> None:
    sample(records_service, 250)
    records_service.script.extend([scripts.as_always, scripts.status(503, body={}), scripts.drop])
    assert dumped(records_service, "page").manifest["records"] == 250


def test_retry_after_is_waited_for(records_service: RecordsServer) -> None:
    records_service.script.extend([scripts.status(429, body={}, headers={"Retry-After": "1"}), scripts.body(LIST)])
    began = time.monotonic()
    dumped(records_service)
    assert time.monotonic() - began >= 1


def test_a_service_that_asks_for_too_long_a_pause_is_left_for_now(records_service: RecordsServer) -> None:
    records_service.script.extend([scripts.status(429, body={}, headers={"Retry-After": "3600"})] * 2)
    with pytest.raises(BackupError) as raised:
        dumped(records_service)
    assert (raised.value.code, raised.value.permanent) == ("busy", False)
    assert patience.LONGEST_PAUSE_S < 3600
    assert len(records_service.asked) == 1


def test_retry_after_may_be_a_date_by_the_clock_of_the_service() -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    date, later = (format_datetime(past + timedelta(seconds=s), usegmt=True) for s in (0, 7))
    assert retry_after({"Retry-After": later, "Date": date}) == 7
    assert retry_after({"Retry-After": date, "Date": later}) == 0
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 27 < (retry_after({"Retry-After": soon}) or 0) <= 30
    for nonsense in ("", "soon", "-3", "²"):
        assert retry_after({"Retry-After": nonsense}) is None


def test_a_service_that_says_nothing_is_left_after_the_timeout(records_service: RecordsServer) -> None:
    records_service.script.extend([scripts.hang] * 5)
    with pytest.raises(BackupError) as raised:
        dumped(records_service, timeout_s=1)
    assert (raised.value.code, raised.value.permanent) == ("timeout", False)
    assert "timeout_s" in raised.value.hint


def test_a_slow_service_is_waited_for_as_long_as_something_comes(records_service: RecordsServer) -> None:
    pieces = [b"[1", b", 2", b", 3", b"]"]
    records_service.script.append(scripts.slow(pieces, 0.4))
    assert dumped(records_service, timeout_s=1).data == b"1\n2\n3\n"
