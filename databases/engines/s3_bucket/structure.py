"""Is a plain stream one whole tar of ours? Cheap, while it flows."""

import json
import tarfile
from collections.abc import Mapping
from typing import Any

from databases.engines.s3_bucket.tarformat import BLOCK, END, SUMMARY
from jobs.errors import BackupError

_EXTENDED = (b"x", b"g")
_LARGEST_SUMMARY = 4 << 20


def damaged(message: str) -> BackupError:
    return BackupError(message, code="structure", hint="The archive is not whole.")


class TarStructure:
    """What it proves: the headers' checksums hold from the first to the last, each member is as long as its header
    says, the last one is the summary, and two zero blocks end the stream. It looks at headers only and skips what
    lies between: `verify_structure` compares the digests.
    """

    def __init__(self) -> None:
        self._header = bytearray()
        self._skip = 0  # bytes of the current member still to come, its padding included
        self._summary: bytearray | None = None
        self._summary_size = 0
        self._members = 0
        self._ended = False

    def feed(self, block: memoryview) -> None:
        while block:
            if self._skip:
                count = min(self._skip, len(block))
                if self._summary is not None:
                    self._summary += block[:count]
                self._skip -= count
            else:
                count = min((len(END) if self._ended else BLOCK) - len(self._header), len(block))
                if count == 0:
                    raise damaged("Bytes follow the end of the tar.")
                self._header += block[:count]
                if not self._ended and len(self._header) == BLOCK:
                    self._take()
            block = block[count:]

    def _take(self) -> None:
        if not any(self._header):
            self._ended = True
            return
        try:
            info = tarfile.TarInfo.frombuf(bytes(self._header), "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise damaged("A header of the tar is damaged.") from error
        self._header.clear()
        self._skip = info.size + -info.size % BLOCK
        if info.type in _EXTENDED:
            return
        self._members += 1
        self._summary = bytearray() if info.name == SUMMARY and info.size <= _LARGEST_SUMMARY else None
        self._summary_size = info.size

    def finish(self) -> Mapping[str, Any]:
        if bytes(self._header) != END or self._skip:
            raise damaged("The tar ends too early.")
        if self._summary is None:
            raise damaged("The tar does not end with its summary.")
        try:
            summary = json.loads(self._summary[: self._summary_size])
            return {"members": self._members, "objects": summary["objects"]}
        except (ValueError, KeyError, TypeError) as error:
            raise damaged("The tar's summary cannot be read.") from error
