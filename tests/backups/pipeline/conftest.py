"""Shared by the pipeline's tests: keys, sources that misbehave, and the whole way in and out."""

import io
import threading
from collections.abc import Iterator

import pytest

from backups.pipeline.decode import decode
from backups.pipeline.encode import Digests, encode
from backups.pipeline.encoding import Encoding
from backups.pipeline.keys import generate_identity

IDENTITY, RECIPIENT = generate_identity()
ENCODINGS = [
    Encoding(compression=compression, recipients=recipients)
    for compression in ("zstd", "gzip", "none")
    for recipients in ((), (RECIPIENT,))
]


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture(params=ENCODINGS, ids=lambda encoding: encoding.extension or "plain")
def encoding(request: pytest.FixtureRequest) -> Encoding:
    found = request.param
    assert isinstance(found, Encoding)
    return found


class Source:
    """Gives `data` in portions of at most `portion` bytes; raises `error` where the end would be."""

    def __init__(self, data: bytes, *, portion: int | None = None, error: Exception | None = None) -> None:
        self._file = io.BytesIO(data)
        self._portion = portion
        self._error = error

    def readinto(self, buffer: memoryview) -> int:
        count = self._file.readinto(buffer[: self._portion] if self._portion else buffer)
        if not count and self._error is not None:
            raise self._error
        return count


def encoded(data: bytes, encoding: Encoding) -> tuple[bytes, Digests]:
    with encode(io.BytesIO(data), encoding=encoding) as reader:
        return reader.read(), reader.digests


def decoded(stored: bytes, encoding: Encoding, *, identity: str = IDENTITY, expected: Digests | None = None) -> bytes:
    with decode(
        io.BytesIO(stored),
        compression=encoding.compression,
        encrypted=bool(encoding.recipients),
        identities=[identity],
        expected=expected,
    ) as reader:
        return reader.read()
