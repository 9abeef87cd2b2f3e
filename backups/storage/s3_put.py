"""One request that carries bytes to S3: where they go, how they are handed over, and what the answer must be."""

import base64
import hashlib
import io
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backups.storage.s3_calls import call
from jobs.errors import BackupError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_MD5_ETAG = re.compile(r"[0-9a-f]{32}(-\d+)?")


@dataclass(frozen=True)
class Target:
    """Where an object goes. `parameters` are S3's for creating it (StorageClass, ServerSideEncryption and so on)."""

    client: "S3Client"
    bucket: str
    key: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> dict[str, Any]:
        return {"Bucket": self.bucket, "Key": self.key}


class Body(io.RawIOBase):
    """Hands a buffer to the client block by block.

    A buffer given whole would have to leave within one socket timeout, however large it is, and could not be stopped.
    """

    def __init__(self, buffer: bytearray, stop: threading.Event) -> None:
        self._view, self._at, self._stop = memoryview(buffer), 0, stop

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, block: Any) -> int:
        if self._stop.is_set():
            raise BackupError("The upload was stopped.", code="stopped")
        count = min(len(block), len(self._view) - self._at)
        block[:count] = self._view[self._at : self._at + count]
        self._at += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, len(self._view))[whence]
        return self._at

    def tell(self) -> int:
        return self._at


def carried(body: bytearray, digest: bytes, stop: threading.Event) -> dict[str, Any]:
    """The arguments that carry `body`; the store refuses it when it does not match its MD5."""
    return {"Body": Body(body, stop), "ContentMD5": base64.b64encode(digest).decode()}


def put(target: Target, body: bytearray) -> Mapping[str, Any]:
    """Stores a small object in one request; returns the answer. What was there before stays when that fails."""
    digest = md5(body)
    answer: Mapping[str, Any] = call(
        target.client.put_object,
        what=target.key,
        **carried(body, digest, threading.Event()),
        **target.where,
        **target.parameters,
    )
    compare(answer, digest.hex(), target.key)
    return answer


def md5(body: bytearray) -> bytes:
    return hashlib.md5(body, usedforsecurity=False).digest()


def compare(answer: Mapping[str, Any], expected: str, what: str) -> None:
    """Raises unless the store's ETag is the digest of what was sent, where the store makes ETags of digests."""
    etag = str(answer.get("ETag", "")).strip('"')
    opaque = answer.get("ServerSideEncryption", "").startswith("aws:kms") or not _MD5_ETAG.fullmatch(etag)
    if not opaque and etag != expected:
        raise BackupError(f"{what}: the store holds other bytes than were sent.", code="destination_corrupts")
