"""A restore that has to stop: soon, whatever the store does, with no thread and no unfinished upload left."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from databases.engines.base import RestoreRequest
from tests.contracts.engine_suite import Stopped
from tests.contracts.engines import BytesSource, RecordingGuard
from tests.databases.engines.s3_bucket.buckets import keys_of, uploads_of
from tests.databases.engines.s3_bucket.crafted import MANIFEST, Artefact
from tests.databases.engines.s3_bucket.helpers import engine_to
from tests.gate import Gate, gate
from tests.live import busy, until
from tests.servers.s3 import S3Server

SOON_S = 8.0
LARGE = random.Random(5).randbytes(40 << 20)


@pytest.fixture(scope="module")
def artefact() -> bytes:
    small = {f"small/{n}": b"x" * 1000 for n in range(40)} | {"small/7": b"needle"}
    found = Artefact().add("large", LARGE)
    for key, body in small.items():
        found.add(key, body)
    return found.data()


@pytest.fixture
def store(s3: S3Server) -> Iterator[Gate]:
    with gate("127.0.0.1", int(s3.endpoint_url.rpartition(":")[2])) as found:
        yield found


def of(method: bytes, mark: bytes) -> Callable[[bytes], bool]:
    return lambda request: request.startswith(method) and mark in request.split(b"\r\n")[0]


HELD = {
    "a part": of(b"PUT ", b"partNumber=2"),
    "a small object": of(b"PUT ", b"/small/7"),
    "the answer to an object": lambda block: b"needle" in block,
    "the answer that completes": of(b"POST ", b"uploadId="),
    "the listing": of(b"GET ", b"list-type=2"),
}


@pytest.mark.parametrize("phase", HELD)
def test_a_stop_never_waits_for_a_silent_store(
    s3: S3Server, s3_bucket: str, store: Gate, artefact: bytes, phase: str
) -> None:
    threads = set(threading.enumerate())
    guard = RecordingGuard()
    target = engine_to(s3, s3_bucket, endpoint_url=f"http://127.0.0.1:{store.port}", parallel=4)
    store.shut(hold_if=HELD[phase])
    with ThreadPoolExecutor(1) as runner:
        running = runner.submit(target.restore, [BytesSource(artefact, MANIFEST)], RestoreRequest(guard=guard))
        assert store.held.wait(30 * busy())
        began = time.monotonic()
        guard.stop_with(Stopped())
        if phase == "the answer that completes":
            store.open()  # that it was asked for, and not what came of it, is why it is waited for
        with pytest.raises(Stopped):
            running.result(60)
        # The uploads are aborted through the same gate: a new connection, which it lets through.
        assert time.monotonic() - began < SOON_S
    store.open()
    assert uploads_of(s3, s3_bucket) == []
    assert guard.callbacks == []
    until(lambda: {t for t in threading.enumerate() if t.name.startswith("s3-")} <= threads)


def test_a_store_that_hangs_up_fails_the_restore_and_leaves_no_upload(
    s3: S3Server, s3_bucket: str, artefact: bytes
) -> None:
    """The bucket vanishes for a moment: what was begun is taken back."""
    guard = RecordingGuard()
    source = BytesSource(artefact[: 30 << 20], MANIFEST, fault=ConnectionResetError("the destination is away"))
    with pytest.raises(ConnectionResetError):
        engine_to(s3, s3_bucket).restore([source], RestoreRequest(guard=guard))
    assert uploads_of(s3, s3_bucket) == []
    assert keys_of(s3, s3_bucket) == []
    assert any("upload" in line and "large" in line for line in guard.lines), "the log names what was begun"
