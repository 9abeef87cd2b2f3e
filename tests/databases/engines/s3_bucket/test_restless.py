"""Objects that change or vanish while they are read, and stores that fail in the middle."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from databases.engines.base import DumpRequest
from databases.engines.s3_bucket import ahead, client, retry
from jobs.errors import BackupError
from tests.contracts.engines import Dumped, RecordingGuard, dump_of
from tests.databases.engines.s3_bucket.fake_store import BUCKET, FakeStore, fake_store
from tests.databases.engines.s3_bucket.helpers import engine_to, fill, index_of, opened
from tests.gate import gate
from tests.live import busy
from tests.servers.s3 import S3Server

LARGE = 20 << 20


@pytest.fixture
def fake() -> Iterator[tuple[FakeStore, S3Server]]:
    with fake_store() as pair:
        yield pair


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSES_S", (0.05,) * 5)
    monkeypatch.setattr(client, "PAUSES_S", (0.05,) * 5)
    monkeypatch.setattr(ahead, "BUDGET", 9 << 20)


def test_a_real_object_replaced_while_it_is_read_is_read_again(s3: S3Server, s3_bucket: str) -> None:
    old, new = os.urandom(LARGE), os.urandom(LARGE - 1000)
    fill(s3, s3_bucket, {"a": b"a", "large": old, "z": b"z"})
    guard, index, data = RecordingGuard(), bytearray(), bytearray()
    with engine_to(s3, s3_bucket).dump(DumpRequest(guard=guard, index=index.extend)) as dump:
        buffer = bytearray(1 << 20)
        assert dump.readinto(buffer) == len(buffer)
        data += buffer
        fill(s3, s3_bucket, {"large": new})
        while count := dump.readinto(buffer):
            data += buffer[:count]
    dumped = Dumped(bytes(data), dict(dump.manifest), {}, bytes(index))
    tar = opened(dumped)
    assert tar.contents == {"a": b"a", "large": new, "z": b"z"}
    with closing(s3.client()) as real:
        etag = real.head_object(Bucket=s3_bucket, Key="large")["ETag"].strip('"')
    voided, again = [line for line in tar.lines if line["key"] == "large"]
    assert voided["voided"] is True
    assert voided["size"] == LARGE
    assert "voided" not in again
    assert again["etag"] == etag == index_of(dumped)[1]["large"]["etag"]
    assert dumped.manifest["voided"] == 1
    assert dumped.manifest["objects"] == 3
    assert dumped.manifest["changed"] == ["large"]
    assert any("large" in line for line in guard.lines)


def test_an_object_that_vanishes_while_it_is_read_is_left_out(fake: tuple[FakeStore, S3Server]) -> None:
    store, server = fake
    store.objects = {"a": b"a", "large": os.urandom(LARGE), "small": b"s", "z": b"z"}

    def vanish(key: str, start: int) -> None:
        if (key, start) == ("large", 16 << 20) or key == "small":
            store.objects.pop(key, None)

    store.before_read = vanish
    dumped = dump_of(engine_to(server, BUCKET))
    tar = opened(dumped)
    assert dumped.manifest["changed"] == ["large", "small"]
    assert [line["key"] for line in tar.lines if "voided" not in line] == ["a", "z"]
    assert list(index_of(dumped)[1]) == ["a", "z"]
    assert tar.names[2].startswith(".backupsite/manifest"), "a restore learns at once that the copy is void"


def test_a_small_object_that_changes_on_a_lost_connection_needs_no_void_copy(fake: tuple[FakeStore, S3Server]) -> None:
    store, server = fake
    store.objects = {"a": b"1" * 50_000}
    store.cut = lambda key, start: 20_000 if len(store.reads) == 1 else None

    def change(key: str, start: int) -> None:
        if start:
            store.objects["a"] = b"2" * 60_000

    store.before_read = change
    dumped = dump_of(engine_to(server, BUCKET))
    assert opened(dumped).contents == {"a": b"2" * 60_000}
    assert dumped.manifest["changed"] == ["a"]
    assert dumped.manifest["voided"] == 0


def test_an_object_that_never_rests_fails_the_dump(fake: tuple[FakeStore, S3Server]) -> None:
    store, server = fake
    store.objects = {"a": bytes(9 << 20)}

    def change(key: str, start: int) -> None:
        if start:
            store.objects["a"] = os.urandom(9 << 20)

    store.before_read = change
    with pytest.raises(BackupError) as raised:
        dump_of(engine_to(server, BUCKET))
    assert raised.value.code == "object_changing"
    assert not raised.value.permanent


@pytest.mark.parametrize(("before", "after"), [(100, 9 << 20), (9 << 20, 100), (9 << 20, 0), (20 << 20, 12 << 20)])
def test_an_object_of_another_size_than_listed_is_whole(
    fake: tuple[FakeStore, S3Server], before: int, after: int
) -> None:
    store, server = fake
    store.objects = {"a": bytes(before), "b": b"b"}
    content = os.urandom(after)

    def change(key: str, start: int) -> None:
        if key == "a":
            store.objects["a"] = content

    store.before_read = change
    dumped = dump_of(engine_to(server, BUCKET))
    assert opened(dumped).contents == {"a": content, "b": b"b"}
    assert dumped.manifest["voided"] == 0


def test_a_cut_connection_is_resumed_where_it_was_cut(fake: tuple[FakeStore, S3Server]) -> None:
    store, server = fake
    store.objects = {"large": os.urandom(LARGE), "small": os.urandom(100_000)}
    cuts = {("large", 4 << 20): 1_000_000, ("small", 0): 33_333, ("large", 0): 5, ("small", 33_333): 0}
    store.cut = lambda key, start: cuts.pop((key, start), None)
    dumped = dump_of(engine_to(server, BUCKET))
    assert cuts == {}
    assert opened(dumped).contents == store.objects
    assert ("small", "bytes=33333-99999") in store.reads
    assert dumped.manifest["changed"] == []


def test_a_store_that_stays_away_fails_the_dump_for_good(fake: tuple[FakeStore, S3Server]) -> None:
    store, server = fake
    store.objects = {f"{number:02}": b"x" * 1000 for number in range(40)}
    store.cut = lambda key, start: 0 if key == "20" else None
    with engine_to(server, BUCKET).dump(DumpRequest(guard=RecordingGuard())) as dump:
        for _ in range(2):  # also when it is asked again: that is no end
            with pytest.raises(BackupError) as raised:
                while dump.readinto(bytearray(1 << 16)):
                    pass
            assert raised.value.code == "unreachable"
            assert not raised.value.permanent


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        ((403, "InvalidObjectState", "The operation is not valid for the object's storage class"), "archived"),
        ((403, "AccessDenied", "Access Denied"), "permission"),
        ((400, "InvalidRequest", "The object was stored using a form of Server Side Encryption."), "customer_key"),
    ],
)
def test_an_object_that_cannot_be_read_is_named(
    fake: tuple[FakeStore, S3Server], refusal: tuple[int, str, str], code: str
) -> None:
    store, server = fake
    store.objects = {"a": b"x", "cold/b": b"y"}
    store.refuse = {"cold/b": refusal}
    with pytest.raises(BackupError) as raised:
        dump_of(engine_to(server, BUCKET))
    assert (raised.value.code, raised.value.permanent) == (code, True)
    assert "cold/b" in raised.value.message
    assert raised.value.hint


def test_a_listing_out_of_order_is_refused(fake: tuple[FakeStore, S3Server]) -> None:
    store, server = fake
    store.objects = dict.fromkeys(("a", "B", "c"), b"x")
    store.order = lambda keys: sorted(keys, key=str.lower)
    with pytest.raises(BackupError) as raised:
        dump_of(engine_to(server, BUCKET))
    assert (raised.value.code, raised.value.permanent) == ("listing_order", True)


def test_2501_keys_over_sixteen_connections(fake: tuple[FakeStore, S3Server]) -> None:
    store, server = fake
    store.objects = {f"n/{number:05}": b"%d" % number for number in range(2501)}
    dumped = dump_of(engine_to(server, BUCKET))
    assert opened(dumped).contents == store.objects
    assert store.sockets <= 16 + 4, "connections are kept"


def test_a_stop_does_not_wait_for_a_silent_store(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {f"{number:02}": os.urandom(200_000) for number in range(30)})
    parts = urlsplit(s3.endpoint_url)
    threads = set(threading.enumerate())
    with gate(parts.hostname or "", parts.port or 0) as silent:
        engine = engine_to(s3, s3_bucket, endpoint_url=f"http://127.0.0.1:{silent.port}")
        guard = RecordingGuard()
        with pytest.raises(BackupError), engine.dump(DumpRequest(guard=guard)) as dump:
            dump.readinto(bytearray(1024))
            silent.shut(down=0)
            stopper = threading.Timer(0.3, lambda: guard.stop_with(BackupError("cancelled", code="cancelled")))
            stopper.start()
            began = time.monotonic()
            while dump.readinto(bytearray(1 << 16)):
                pass
        assert time.monotonic() - began < 3 * busy()
        stopper.join()
    assert set(threading.enumerate()) <= threads


def test_a_store_that_lists_keys_as_they_are_loses_none(fake: tuple[FakeStore, S3Server]) -> None:
    store, server = fake
    store.encodes = False
    store.objects = {"a+b": b"1", "a%20b": b"2", "a b": b"3", "a&<b": b"4", "caf\u00e9": b"5"}
    dumped = dump_of(engine_to(server, BUCKET))
    assert opened(dumped).contents == store.objects
    assert dumped.manifest["changed"] == []
