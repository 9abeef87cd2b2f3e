"""The one byte range of a request (RFC 9110, 14)."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class ByteRange:
    start: int
    length: int


class NotSatisfiable(Exception):
    """The range begins behind the end."""


def parse_range(header: str, *, size: int) -> ByteRange | None:
    """None when there is no range, or one to be ignored: another unit, several, or malformed."""
    match = re.fullmatch(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*", header, flags=re.ASCII)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(size - int(match[2]), 0), size - 1
        if not int(match[2]):
            raise NotSatisfiable
    else:
        start, end = int(match[1]), min(int(match[2] or size), size - 1)
        if match[2] and int(match[2]) < start:
            return None
    if start >= size:
        raise NotSatisfiable
    return ByteRange(start=start, length=end - start + 1)
