"""Writes a stream of unknown length to S3: pulled, in two buffers, gone without a trace when it fails.

s3transfer keeps 16 MiB parts when the size is unknown, which ends at 156 GiB, and takes a short first read for the
whole object. Here the part size grows (`parts.part_size`), and only a reader's verified end ends the object.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, cast

from backups.storage.base import PERMISSION, Stored, ignore_stored, ignore_upload, never_stop
from backups.storage.parts import MIB, MOST_PARTS, part_size
from backups.storage.readers import Reader, fill
from backups.storage.s3_calls import call, s3_code
from backups.storage.s3_lock import stored_as
from backups.storage.s3_put import Target, carried, compare, md5, put
from jobs.errors import BackupError


def store(
    target: Target,
    reader: Reader,
    *,
    on_upload: Callable[[str], None] = ignore_upload,
    on_stored: Callable[[Stored], None] = ignore_stored,
    check: Callable[[], None] = never_stop,
    plan: Callable[[int], int] = part_size,
) -> int:
    """Stores the whole stream and returns its size. What fits in the first part goes in one PUT."""
    first = bytearray(plan(1))
    count = _fill(first, reader, check)
    if count < len(first):
        _put_or_nothing(target, _cut(first, count), on_stored)
        return count
    created = call(
        target.client.create_multipart_upload,
        what=target.key,
        **target.where,
        **target.parameters,
    )
    upload = _Upload(target, created["UploadId"])
    try:
        on_upload(upload.id)
        upload.send_all(first, reader, check, plan)
        _tell(target, upload.complete(check), on_stored)
    except BaseException as error:
        upload.undo(error)
        raise
    return upload.size


def _tell(target: Target, answer: Mapping[str, Any], on_stored: Callable[[Stored], None]) -> None:
    on_stored(stored_as(target.client, target.where, asked=target.parameters, answer=answer))


def _put_or_nothing(target: Target, body: bytearray, on_stored: Callable[[Stored], None]) -> None:
    try:
        answer = put(target, body)
    except BaseException as error:
        if not (isinstance(error, BackupError) and error.permanent):  # a permanent one is a clear refusal
            _remove(target, error)  # the answer may have been lost after the object was stored
        raise
    try:
        _tell(target, answer, on_stored)
    except BaseException as error:
        _remove(target, error)
        raise


def _remove(target: Target, error: BaseException) -> None:
    try:
        call(target.client.delete_object, what=target.key, **target.where)
    except BackupError as failure:
        error.add_note(f"The object could not be removed: {failure}")


class _Upload:
    """One multipart upload. Parts are sent in their order by one other thread while this one fills the next."""

    def __init__(self, target: Target, upload_id: str) -> None:
        self.id = upload_id
        self.size = 0
        self._target = target
        self._etags: list[str] = []
        self._digests: list[bytes] = []
        self._stop = threading.Event()
        self._completing = False

    def send_all(self, body: bytearray, reader: Reader, check: Callable[[], None], plan: Callable[[int], int]) -> None:
        spare, ended = bytearray(), False
        with ThreadPoolExecutor(1, thread_name_prefix="s3-part") as sender:
            try:
                for number in range(1, MOST_PARTS + 1):
                    sending = sender.submit(self._send, body, number)
                    count = 0
                    if not ended:
                        size = plan(number + 1)
                        if len(spare) != size:
                            spare = bytearray()  # lets the smaller one go first
                            spare = bytearray(size)
                        count = _fill(spare, reader, partial(_watch, sending, check))
                        ended = count < len(spare)
                    _wait(sending, check)
                    if not count:
                        return
                    body, spare = (_cut(spare, count), bytearray()) if ended else (spare, body)
                raise BackupError(
                    f"{self._target.key} does not fit in {MOST_PARTS} parts.", code="object_too_large", permanent=True
                )
            except BaseException:
                self._stop.set()
                raise

    def _send(self, body: bytearray, number: int) -> None:
        digest = md5(body)
        answer = call(
            self._target.client.upload_part,
            what=f"{self._target.key}, part {number}",
            patience=self._stop,
            UploadId=self.id,
            PartNumber=number,
            **carried(body, digest, self._stop),
            **self._target.where,
        )
        compare(answer, digest.hex(), f"{self._target.key}, part {number}")
        self._etags.append(answer["ETag"])
        self._digests.append(digest)
        self.size += len(body)

    def complete(self, check: Callable[[], None]) -> Mapping[str, Any]:
        """Makes the object appear, and makes sure that it is what was sent. Returns what the store says of it."""
        check()
        self._completing = True
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(self._etags, 1)]
        try:
            answer: Any = call(
                self._target.client.complete_multipart_upload,
                what=self._target.key,
                patience=self._stop,
                UploadId=self.id,
                MultipartUpload={"Parts": parts},
                **self._target.where,
            )
        except BackupError as error:
            # A try whose answer was lost may have completed it; then the object itself tells.
            if s3_code(error.__cause__) != "NoSuchUpload":
                raise
            answer = {}
        return self._compare_whole(answer)

    def _compare_whole(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        key, whole = self._target.key, f"{hashlib.md5(b''.join(self._digests), usedforsecurity=False).hexdigest()}"
        whole += f"-{len(self._digests)}"
        compare(answer, whole, key)
        try:
            found: Any = call(self._target.client.head_object, what=key, patience=self._stop, **self._target.where)
        except BackupError as error:
            if error.code == PERMISSION and answer:
                return answer  # these credentials only write; the part checksums have to do
            raise
        compare(found, whole, key)
        if found["ContentLength"] != self.size:
            raise BackupError(
                f"{key}: {self.size} bytes were sent and {found['ContentLength']} stored.", code="destination_corrupts"
            )
        return cast(Mapping[str, Any], found)

    def undo(self, error: BaseException) -> None:
        """Removes every part, and the object when it may have come to be. What cannot be removed is said."""
        client, where = self._target.client, self._target.where
        try:
            call(client.abort_multipart_upload, what=self._target.key, UploadId=self.id, **where)
        except BackupError as failure:
            if s3_code(failure.__cause__) != "NoSuchUpload":
                error.add_note(f"The upload {self.id} could not be aborted: {failure}")
        if self._completing:
            _remove(self._target, error)


def _fill(buffer: bytearray, reader: Reader, check: Callable[[], None]) -> int:
    """Fills the buffer unless the stream ends, with a `check` every MiB."""
    filled = 0
    with memoryview(buffer) as view:
        while filled < len(view):
            check()
            wanted = min(MIB, len(view) - filled)
            with view[filled : filled + wanted] as block:
                count = fill(reader, block)
            filled += count
            if count < wanted:
                break
    return filled


def _watch(sending: Future[None], check: Callable[[], None]) -> None:
    """Lets a failed part end the filling of the next one."""
    check()
    if sending.done():
        sending.result()


def _wait(sending: Future[None], check: Callable[[], None]) -> None:
    while not wait([sending], timeout=0.5).done:
        check()
    sending.result()


def _cut(buffer: bytearray, count: int) -> bytearray:
    """The first `count` bytes. A copy: a reader may still hold a view of the buffer, which forbids to shrink it."""
    with memoryview(buffer) as view, view[:count] as wanted:
        return bytearray(wanted)
