"""What goes in comes out, with our own decoder and with stock tools."""

import hashlib
import io
import os
import random
import subprocess
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from backups.pipeline.blocks import BLOCK_SIZE
from backups.pipeline.encode import encode
from backups.pipeline.encoding import Encoding
from backups.pipeline.keys import generate_identity
from backups.pipeline.reader import read_digests
from jobs.errors import BackupError
from tests.backups.pipeline.conftest import ENCODINGS, IDENTITY, RECIPIENT, Source, decoded, encoded

UNPACK = {"zstd": "zstd -dc", "gzip": "gunzip -c", "none": "cat"}
SIZES = [0, 1, 65_535, 65_536, 65_537, 3 * 65_536, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 5 * BLOCK_SIZE + 7]


@given(
    data=st.binary(max_size=3000),
    repeats=st.integers(1, 2000),
    encoding=st.sampled_from(ENCODINGS),
    portion=st.none() | st.integers(1000, 100_000),
)
@settings(max_examples=60, deadline=None)
def test_any_bytes_come_back(data: bytes, repeats: int, encoding: Encoding, portion: int | None) -> None:
    plain = data * repeats
    with encode(Source(plain, portion=portion), encoding=encoding) as reader:
        stored, digests = reader.read(), reader.digests
    assert decoded(stored, encoding, expected=digests) == plain


@pytest.mark.parametrize("size", SIZES)
def test_edges_of_chunks_and_blocks_come_back(encoding: Encoding, size: int) -> None:
    plain = random.Random(size).randbytes(size)
    stored, digests = encoded(plain, encoding)
    assert decoded(stored, encoding, expected=digests) == plain


@pytest.mark.parametrize("size", [0, 65_536, 2 * BLOCK_SIZE + 5])
def test_stock_tools_open_the_artefact(encoding: Encoding, size: int, tmp_path: Path) -> None:
    plain = random.Random(size).randbytes(size // 2) + bytes(size - size // 2)
    stored, _ = encoded(plain, encoding)
    (tmp_path / "identity").write_text(IDENTITY + "\n")
    unseal = f"age -d -i {tmp_path}/identity" if encoding.recipients else "cat"
    command = f"{unseal} | {UNPACK[encoding.compression]}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], input=stored, capture_output=True, check=True)
    assert done.stdout == plain


@pytest.mark.parametrize("size", [0, 1, 65_536, 131_072, 2 * BLOCK_SIZE, 2 * BLOCK_SIZE + 5])
def test_what_stock_age_wrote_is_read(size: int) -> None:
    plain = os.urandom(size)
    other = generate_identity()[1]
    stored = subprocess.run(["age", "-r", other, "-r", RECIPIENT], input=plain, capture_output=True, check=True).stdout
    assert decoded(stored, Encoding(compression="none", recipients=(RECIPIENT,))) == plain


@pytest.mark.parametrize("command", ["zstd -c", "zstd -c --no-check", "zstd -19 -c", "gzip -c", "gzip -1 -c"])
def test_what_stock_compressors_wrote_is_read(command: str) -> None:
    plain = os.urandom(300_000) + bytes(3_000_000)
    stored = subprocess.run(command.split(), input=plain, capture_output=True, check=True).stdout
    assert decoded(stored, Encoding(compression=command.split()[0])) == plain


def test_each_of_several_recipients_can_read() -> None:
    pairs = [generate_identity() for _ in range(5)]
    encoding = Encoding(recipients=tuple(recipient for _, recipient in pairs))
    stored, _ = encoded(b"secret", encoding)
    assert [decoded(stored, encoding, identity=identity) for identity, _ in pairs] == [b"secret"] * 5


def test_digests_describe_both_sides(encoding: Encoding) -> None:
    plain = os.urandom(700_000) * 3
    stored, digests = encoded(plain, encoding)
    assert (digests.original_size, digests.original_blake3) == (len(plain), blake3(plain).hexdigest())
    assert (digests.size, digests.md5) == (len(stored), hashlib.md5(stored).hexdigest())
    assert digests.sha256 == hashlib.sha256(stored).hexdigest()
    assert read_digests(io.BytesIO(stored)) == (digests.size, digests.md5, digests.sha256)


@pytest.mark.parametrize(("compression", "level"), [("zstd", 1), ("zstd", 19), ("gzip", 1), ("gzip", 9)])
def test_levels_and_worker_threads_give_the_same_plain_bytes(compression: str, level: int) -> None:
    encoding = Encoding(compression=compression, level=level, threads=2)
    plain = os.urandom(1000) * 6000
    assert decoded(encoded(plain, encoding)[0], encoding) == plain


@pytest.mark.parametrize(
    ("compression", "level", "code"),
    [
        ("lz4", None, "invalid_compression"),
        ("zstd", 0, "invalid_level"),
        ("zstd", 20, "invalid_level"),
        ("gzip", 10, "invalid_level"),
    ],
)
def test_an_unknown_compression_or_level_is_refused(compression: str, level: int | None, code: str) -> None:
    with pytest.raises(BackupError) as raised:
        Encoding(compression=compression, level=level)
    assert raised.value.code == code


def test_extensions_name_what_was_done() -> None:
    assert [encoding.extension for encoding in ENCODINGS] == [".zst", ".zst.age", ".gz", ".gz.age", "", ".age"]
