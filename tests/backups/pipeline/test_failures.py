"""Whatever breaks, wherever: the reader raises, never reports an end, and no thread stays."""

import io
import threading
import time

import pytest

from backups.pipeline import age, blocks, compression
from backups.pipeline.blocks import BLOCK_SIZE, Block
from backups.pipeline.encode import EncodedReader, encode
from backups.pipeline.encoding import Encoding
from backups.pipeline.reader import read_digests
from jobs.errors import BackupError
from tests.backups.pipeline.conftest import RECIPIENT, Source

DATA = bytes(range(256)) * 4096 * 12


class Broken(Exception):
    pass


def drain(reader: EncodedReader) -> None:
    buffer = bytearray(100_000)
    while reader.readinto(buffer) == len(buffer):
        pass


@pytest.mark.parametrize("size", [0, 10, BLOCK_SIZE, len(DATA)])
def test_a_source_that_fails_at_its_very_end_is_never_an_end(encoding: Encoding, size: int) -> None:
    with encode(Source(DATA[:size], error=Broken()), encoding=encoding) as reader:
        with pytest.raises(Broken):
            drain(reader)
        with pytest.raises(Broken):
            reader.read(1)
        with pytest.raises(RuntimeError):
            _ = reader.digests


def test_short_and_slow_reads_lose_nothing(encoding: Encoding) -> None:
    class Slow(Source):
        def readinto(self, buffer: memoryview) -> int:
            time.sleep(0.001)
            return super().readinto(buffer)

    with encode(Slow(DATA[:300_000], portion=4096), encoding=encoding) as reader:
        reader.read()
        assert reader.digests.original_size == 300_000


def test_a_tap_that_raises_ends_the_stream(encoding: Encoding) -> None:
    seen = []

    def tap(block: memoryview) -> None:
        seen.append(len(block))
        if len(seen) == 3:
            raise Broken

    with encode(io.BytesIO(DATA), encoding=encoding, taps=[tap]) as reader, pytest.raises(Broken):
        drain(reader)
    assert seen == [BLOCK_SIZE] * 3


@pytest.mark.parametrize("stage", ["compress", "encrypt", "digest"])
def test_a_stage_that_breaks_ends_the_stream(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise Broken

    target = {"compress": (compression, "pack"), "encrypt": (age, "write_header"), "digest": (blocks.Meter, "watch")}
    monkeypatch.setattr(*target[stage], fail)
    with (
        pytest.raises(Broken),
        encode(io.BytesIO(DATA), encoding=Encoding(recipients=(RECIPIENT,))) as reader,
    ):
        drain(reader)


def test_a_recipient_that_is_none_ends_the_stream() -> None:
    with encode(io.BytesIO(b"x"), encoding=Encoding(recipients=("age1nonsense",))) as reader:
        with pytest.raises(BackupError) as raised:
            reader.read()
        assert raised.value.code == "invalid_recipient"


def test_a_consumer_that_stops_early_leaves_no_thread(encoding: Encoding) -> None:
    with pytest.raises(Broken), encode(io.BytesIO(DATA * 3), encoding=encoding) as reader:
        reader.read(1000)
        raise Broken


def test_check_is_called_between_blocks_and_may_end_the_stream() -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) > 3:
            raise Broken

    with encode(io.BytesIO(DATA), encoding=Encoding("none"), check=check) as reader, pytest.raises(Broken):
        drain(reader)


class Silent:
    """A source that says nothing until somebody wakes it."""

    def __init__(self) -> None:
        self.woken = threading.Event()

    def readinto(self, buffer: memoryview) -> int:
        self.woken.wait(30)
        raise Broken


def test_check_is_called_while_a_silent_source_is_waited_for() -> None:
    source, start = Silent(), time.monotonic()

    def check() -> None:
        if time.monotonic() - start > 0.3:
            raise TimeoutError

    with (
        pytest.raises(TimeoutError),
        encode(source, encoding=Encoding(), check=check, abort=source.woken.set) as reader,
    ):
        reader.read(1)
    assert time.monotonic() - start < 5


def test_progress_counts_plain_bytes_up_to_all() -> None:
    seen: list[int] = []
    with encode(io.BytesIO(DATA), encoding=Encoding("none"), progress=seen.append) as reader:
        drain(reader)
    assert seen == sorted(seen)
    assert len(seen) >= len(DATA) // BLOCK_SIZE
    assert seen[-1] == len(DATA)


def test_reads_fill_what_was_asked() -> None:
    with encode(Source(DATA, portion=1000), encoding=Encoding("none")) as reader:
        sizes = [len(reader.read(700_001)) for _ in range(3)]
        assert (sizes, reader.tell(), reader.seekable()) == ([700_001] * 3, 2_100_003, False)
        assert reader.read(0) == b""
        assert len(reader.read(None)) == len(DATA) - 2_100_003
        assert (reader.read(5), reader.read()) == (b"", b"")


def test_read_back_raises_what_the_store_raises() -> None:
    with pytest.raises(Broken):
        read_digests(Source(DATA, error=Broken()))


def test_a_bug_in_the_reading_thread_is_an_error_too() -> None:
    class Odd:
        def readinto(self, buffer: memoryview) -> int:
            raise SystemExit(0)

    with encode(Odd(), encoding=Encoding()) as reader, pytest.raises(SystemExit):
        reader.read()


def test_blocks_are_used_again() -> None:
    buffers: set[int] = set()
    original = Block.release

    def release(block: Block) -> None:
        buffers.add(id(block.buffer))
        original(block)

    with pytest.MonkeyPatch.context() as patch, encode(io.BytesIO(DATA * 4), encoding=Encoding("none")) as reader:
        patch.setattr(Block, "release", release)
        drain(reader)
    assert 1 <= len(buffers) <= 6
