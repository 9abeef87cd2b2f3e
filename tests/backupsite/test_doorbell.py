"""The embedded broker between real processes."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection
from kombu.exceptions import ChannelError

from backupsite import doorbell
from tests.live import busy

MESSAGES, PUBLISHERS, READERS = 1500, 3, 4


def connect(folder: Path) -> Any:
    doorbell.register()
    return Connection("doorbell://localhost", transport_options={"folder": str(folder)})


def message(body: object = None, *, expires: datetime | None = None) -> dict[str, Any]:
    return {"body": body, "headers": {"expires": expires.isoformat() if expires else None}, "properties": {}}


def _publish(folder: Path, first: int) -> None:
    with connect(folder) as wire:
        for number in range(first, MESSAGES, PUBLISHERS):
            wire.default_channel._put("jobs", message(number))


def _read(folder: Path, answer: Any) -> None:
    found = []
    with connect(folder) as wire:
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < 3:
            try:
                found.append(wire.default_channel._get("jobs")["body"])
                idle_since = time.monotonic()
            except Empty:
                time.sleep(0.01)
    answer.send(found)


@pytest.mark.slow
def test_of_many_messages_none_is_lost_and_none_comes_twice(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in range(READERS)]
    readers = [context.Process(target=_read, args=(tmp_path, sender)) for _, sender in pipes]
    publishers = [context.Process(target=_publish, args=(tmp_path, first)) for first in range(PUBLISHERS)]
    for process in readers + publishers:
        process.start()
    found = Counter(number for receiver, _ in pipes for number in receiver.recv())
    for process in readers + publishers:
        process.join()
        process.close()
    for ends in pipes:
        for end in ends:
            end.close()
    assert found == Counter(range(MESSAGES))
    assert list((tmp_path / "jobs").iterdir()) == []


@pytest.fixture
def channel(tmp_path: Path) -> Any:
    with connect(tmp_path) as wire, closing(wire.default_channel) as opened:
        yield opened


def test_messages_come_in_the_order_they_were_put(channel: Any) -> None:
    for number in range(20):
        channel._put("jobs", message(number))
        time.sleep(0.002)
    assert [channel._get("jobs")["body"] for _ in range(20)] == list(range(20))


def test_queues_are_apart(channel: Any) -> None:
    channel._put("jobs", message("here"))
    channel._put("other-host", message("there"))
    assert channel._get("other-host")["body"] == "there"
    with pytest.raises(Empty):
        channel._get("other-host")
    assert channel._size("jobs") == 1


def test_an_expired_message_is_not_delivered(channel: Any) -> None:
    channel._put("jobs", message("late", expires=datetime.now(UTC) - timedelta(seconds=1)))
    channel._put("jobs", message("in time", expires=datetime.now(UTC) + timedelta(seconds=60)))
    assert channel._get("jobs")["body"] == "in time"
    with pytest.raises(Empty):
        channel._get("jobs")


def test_a_queue_that_nobody_reads_does_not_grow(channel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell, "TIDY_S", 0.0)
    for _ in range(50):
        channel._put("jobs", message(expires=datetime.now(UTC) - timedelta(seconds=1)))
    assert len(list((tmp_path / "jobs").iterdir())) <= 1


def test_a_half_written_message_is_never_seen(channel: Any, tmp_path: Path) -> None:
    channel._put("jobs", message("whole"))
    (tmp_path / "jobs" / ".000000000000001-999999999999999-half").write_text("{")
    assert channel._get("jobs")["body"] == "whole"
    with pytest.raises(Empty):
        channel._get("jobs")


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "../jobs"])
def test_a_queue_name_never_leaves_the_folder(channel: Any, name: str) -> None:
    with pytest.raises(ChannelError):
        channel._put(name, message())


def test_the_folder_is_its_owners_alone(channel: Any, tmp_path: Path) -> None:
    channel._put("jobs", message())
    assert (tmp_path / "jobs").stat().st_mode & 0o777 == 0o700


def test_kombu_delivers_through_it_by_the_queues_name(tmp_path: Path) -> None:
    with connect(tmp_path) as wire, closing(wire.SimpleQueue("jobs")) as queue:
        queue.put({"job": "bkp_1"})
        got = queue.get(timeout=2)
        assert got.payload == {"job": "bkp_1"}
        got.ack()


def test_waiting_ends_soon_enough_to_notice_a_stop(tmp_path: Path) -> None:
    consume: Callable[..., Any] = print
    with connect(tmp_path) as wire, wire.Consumer(queues=[], callbacks=[consume]):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            wire.drain_events(timeout=5)
        assert time.monotonic() - began < 1.5 * busy()
