"""Ranges from a store that gives less, or something else, than was asked for."""

import io
from typing import Any

import pytest

from backups.storage import s3_calls
from backups.storage.s3_read import open_ranges
from jobs.errors import BackupError


class ShortClient:
    """Gives at most `most` bytes for each request, and says so or not."""

    def __init__(self, content: bytes, *, most: int, honest: bool = False) -> None:
        self.content, self.most, self.honest = content, most, honest

    def get_object(self, **call: Any) -> dict[str, Any]:
        first, last = map(int, call["Range"].removeprefix("bytes=").split("-"))
        given = self.content[first : min(last + 1, first + self.most)]
        last = first + len(given) - 1 if self.honest else last
        return {"ContentRange": f"bytes {first}-{last}/{len(self.content)}", "Body": io.BytesIO(given)}


def read(client: ShortClient) -> bytes:
    found, block = b"", bytearray(7)
    with open_ranges(client, bucket="b", key="k", etag="e", start=0, end=len(client.content), piece=10) as reader:  # type: ignore[arg-type]
        while count := reader.readinto(block):
            found += block[:count]
    return found


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_calls, "PAUSES_S", (0.0,) * 3)


def test_an_answer_that_ends_early_is_asked_for_again_from_there() -> None:
    content = bytes(range(95))
    assert read(ShortClient(content, most=4)) == content


def test_answers_that_stay_empty_are_an_error() -> None:
    with pytest.raises(BackupError) as raised:
        read(ShortClient(bytes(95), most=0))
    assert raised.value.code == "destination_unreachable"


def test_another_range_than_asked_for_is_an_error() -> None:
    with pytest.raises(BackupError) as raised:
        read(ShortClient(bytes(95), most=4, honest=True))
    assert raised.value.code == "object_truncated"
