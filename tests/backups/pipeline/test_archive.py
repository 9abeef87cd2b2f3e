"""Archives as streams: they open with stock tools whatever their size and count, and take no memory."""

import io
import os
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backups.pipeline.archive import Entry, Piece, PieceReader, Writer, tar_stream, zip_stream

AT = datetime(2026, 3, 1, 3, 0, 2, tzinfo=UTC)
LARGE_SIZE = (4 << 30) + (1 << 20)


def entry(name: str, *blocks: bytes) -> Entry:
    return Entry(name, sum(map(len, blocks)), AT, blocks)


def joined(pieces: Iterator[Piece]) -> io.BytesIO:
    return io.BytesIO(b"".join(bytes(piece) for piece in pieces))


CONTENTS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=200),
    st.lists(st.binary(max_size=2000), max_size=4),
    max_size=5,
)


@settings(max_examples=50, deadline=None)
@given(CONTENTS)
def test_any_names_and_bytes_come_back(contents: dict[str, list[bytes]]) -> None:
    entries = [entry(f"db/{name}", *blocks) for name, blocks in contents.items()]
    whole = {f"db/{name}": b"".join(blocks) for name, blocks in contents.items()}
    with zipfile.ZipFile(joined(zip_stream(entries))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == whole
    with tarfile.open(fileobj=joined(tar_stream(entries)), mode="r:") as tar:
        assert {found.name: _read(tar, found) for found in tar} == whole
        assert all((found.mtime, found.mode) == (AT.timestamp(), 0o600) for found in tar)


def _read(tar: tarfile.TarFile, found: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(found)
    assert file is not None
    return file.read()


@pytest.mark.parametrize("write", [zip_stream, tar_stream])
def test_a_source_that_breaks_breaks_the_stream(write: Writer) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"half"
        raise OSError("gone")

    reader = PieceReader(write([Entry("a", 8, AT, blocks())]))
    with pytest.raises(OSError, match="gone"):
        while reader.readinto(bytearray(100)):
            continue


def test_a_reader_gives_full_buffers_until_the_end() -> None:
    reader = PieceReader(iter([b"ab", b"", memoryview(b"cde"), b"f"]))
    buffer, found = bytearray(4), b""
    counts = []
    while count := reader.readinto(buffer):
        counts.append(count)
        found += buffer[:count]
    assert (counts, found) == ([4, 2], b"abcdef")


@pytest.mark.slow
def test_more_than_65535_members(tmp_path: Path) -> None:
    """Counted in ZIP64's end of central directory."""
    path = tmp_path / "many.zip"
    with path.open("wb") as file:
        for piece in zip_stream(entry(f"db/{number}", b"x") for number in range(66_000)):
            file.write(piece)
    done = subprocess.run(["unzip", "-tq", path], check=True, capture_output=True, text=True)
    assert "No errors detected" in done.stdout
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 66_000


LARGE = """
import os, resource, sys
from datetime import UTC, datetime
from backups.pipeline.archive import Entry, PieceReader, tar_stream, zip_stream

AT, BLOCK = datetime(2026, 3, 1, tzinfo=UTC), bytes(1 << 20)
def entries():
    large = (4 << 30) + (1 << 20)
    yield Entry("db/small.dump", 5, AT, [b"small"])
    yield Entry("db/large.dump", large, AT, (BLOCK for _ in range(large >> 20)))
    yield Entry("db/behind.dump", 6, AT, [b"behind"])  # its offset is past 4 GiB

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
buffer = memoryview(bytearray(1 << 20))
with open(sys.argv[2], "wb", buffering=0) as file:
    reader = PieceReader({"zip": zip_stream, "tar": tar_stream}[sys.argv[1]](entries()))
    while count := reader.readinto(buffer):
        if bytes(buffer[:count]) == BLOCK:
            file.seek(count, os.SEEK_CUR)  # a hole
        else:
            file.write(buffer[:count])
    file.truncate()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.fixture(params=["zip", "tar"])
def large(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An archive with a member of more than 4 GiB and one behind it; mostly a hole in the file."""
    path = tmp_path / f"large.{request.param}"
    command = [sys.executable, "-c", LARGE, request.param, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."})
    assert int(done.stdout) < 30  # MiB
    return path


@pytest.mark.slow
def test_more_than_four_gigabytes_in_constant_memory(large: Path) -> None:
    """Without reading the 4 GiB again: `unzip -t` of them takes half a minute of CPU."""
    if large.suffix == ".zip":
        listed = subprocess.run(["unzip", "-l", large], check=True, capture_output=True, text=True).stdout
        assert re.findall(r"^ *(\d+) .* db/", listed, re.MULTILINE) == ["5", str(LARGE_SIZE), "6"]
        tested = ["unzip", "-t", str(large), "db/small.dump", "db/behind.dump"]
        assert "No errors detected" in subprocess.run(tested, check=True, capture_output=True, text=True).stdout
        _assert_descriptor_says_what_the_directory_says(large)
        behind = ["unzip", "-p", str(large), "db/behind.dump"]
    else:
        listed = subprocess.run(["tar", "-tvf", large], check=True, capture_output=True, text=True).stdout
        assert [line.split()[2] for line in listed.splitlines()] == ["5", str(LARGE_SIZE), "6"]
        behind = ["tar", "-xOf", str(large), "db/behind.dump"]
    assert subprocess.run(behind, check=True, capture_output=True).stdout == b"behind"


def _assert_descriptor_says_what_the_directory_says(path: Path) -> None:
    """APPNOTE 4.3.9: signature, CRC, and both sizes in eight bytes each, right behind the member's bytes."""
    with zipfile.ZipFile(path) as archive:
        large, behind = archive.infolist()[1:]
    with path.open("rb") as file:
        file.seek(behind.header_offset - 24)
        assert struct.unpack("<4sLQQ", file.read(24)) == (b"PK\x07\x08", large.CRC, LARGE_SIZE, LARGE_SIZE)
