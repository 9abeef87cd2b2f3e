"""Is a plain stream whole lines? Cheap, while it flows."""

from collections.abc import Mapping
from typing import Any

from jobs.errors import BackupError


def damaged(message: str) -> BackupError:
    return BackupError(message, code="structure", hint="The archive is not whole.")


class LinesStructure:
    """What it proves: the stream ends with the end of a line, and, where the manifest is known, holds as many lines as
    records were counted. Every record was cut out of a proven answer; `verify_structure` reads each line again.
    """

    def __init__(self, expected: int | None) -> None:
        self._expected = expected
        self._lines = 0
        self._last = 0x0A

    def feed(self, block: memoryview) -> None:
        if block:
            self._lines += bytes(block).count(b"\n")
            self._last = block[-1]

    def finish(self) -> Mapping[str, Any]:
        if self._last != 0x0A:
            raise damaged("The last line does not end.")
        if self._expected is not None and self._lines != self._expected:
            raise damaged(f"There are {self._lines} lines, and {self._expected} records were counted.")
        return {"lines": self._lines}
