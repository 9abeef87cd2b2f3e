"""The requests that write objects. Stores refuse bytes that do not match the MD5 sent with them."""

import base64
import hashlib
import io
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databases.engines.s3_bucket.client import call
from databases.engines.s3_bucket.faults import s3_code, shown
from jobs.errors import BackupError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MIB = 1 << 20
FIRST_PART = 16 * MIB
MOST_PARTS = 10_000


def part_size(number: int) -> int:
    """The size of part `number`, from 1: it grows with what has really come, so that 5 TiB fit in 10,000 parts and a
    size that an archive only claims costs nothing. 41 MiB after 30 GiB, 519 MiB after 1 TiB."""
    return FIRST_PART + MIB * (number * number * 1536 // MOST_PARTS**2)


@dataclass(frozen=True)
class Way:
    """How one object gets into its bucket. `data` may be cut at any moment; `control` never is: what its requests
    have begun or ended would not be known."""

    data: "S3Client"
    control: "S3Client"
    bucket: str
    stop: threading.Event


class Body(io.RawIOBase):
    """Hands a buffer over block by block: a buffer given whole would have to leave within one socket timeout."""

    def __init__(self, buffer: bytearray, stop: threading.Event) -> None:
        self._view, self._at, self._stop = memoryview(buffer), 0, stop

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, block: Any) -> int:
        if self._stop.is_set():
            raise BackupError("The restore was stopped.", code="stopped")
        count = min(len(block), len(self._view) - self._at)
        block[:count] = self._view[self._at : self._at + count]
        self._at += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, len(self._view))[whence]
        return self._at

    def tell(self) -> int:
        return self._at


def put(way: Way, key: str, body: bytearray, arguments: dict[str, Any]) -> None:
    carried = _carried(body, way.stop)
    where: dict[str, Any] = {"Bucket": way.bucket, "Key": key}
    call(way.data.put_object, what=shown(key), patience=way.stop, **where, **carried, **arguments)


class Upload:
    """One multipart upload, from its beginning until it is completed or aborted."""

    def __init__(self, way: Way, key: str, size: int, arguments: dict[str, Any]) -> None:
        self.key, self.size = key, size
        self._way = way
        self._where: dict[str, Any] = {"Bucket": way.bucket, "Key": key}
        self._etags: dict[int, str] = {}
        created = call(way.control.create_multipart_upload, what=shown(key), **self._where, **arguments)
        self.id: str = created["UploadId"]

    def send(self, number: int, body: bytearray) -> None:
        answer = call(
            self._way.data.upload_part,
            what=f"{shown(self.key)}, part {number}",
            patience=self._way.stop,
            UploadId=self.id,
            PartNumber=number,
            **self._where,
            **_carried(body, self._way.stop),
        )
        self._etags[number] = answer["ETag"]

    def complete(self) -> None:
        """Makes the object appear."""
        parts = [{"PartNumber": number, "ETag": self._etags[number]} for number in sorted(self._etags)]
        try:
            call(
                self._way.control.complete_multipart_upload,
                what=shown(self.key),
                patience=self._way.stop,
                UploadId=self.id,
                MultipartUpload={"Parts": parts},
                **self._where,
            )
        except BackupError as error:
            # A try whose answer was lost may have completed it; then the object itself tells.
            if s3_code(error.__cause__) != "NoSuchUpload" or not self._is_whole():
                raise

    def _is_whole(self) -> bool:
        found = call(self._way.control.head_object, what=shown(self.key), **self._where)
        whole: bool = found["ContentLength"] == self.size
        return whole and found["ETag"].strip('"').endswith(f"-{len(self._etags)}")

    def abort(self) -> None:
        """Removes every part; harmless when the upload is gone."""
        abort_upload(self._way.control, self._way.bucket, self.key, self.id)


def abort_upload(client: "S3Client", bucket: str, key: str, upload_id: str) -> None:
    try:
        call(client.abort_multipart_upload, what=shown(key), Bucket=bucket, Key=key, UploadId=upload_id)
    except BackupError as error:
        if s3_code(error.__cause__) != "NoSuchUpload":
            raise


def _carried(body: bytearray, stop: threading.Event) -> dict[str, Any]:
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    return {"Body": Body(body, stop), "ContentMD5": base64.b64encode(digest).decode()}
