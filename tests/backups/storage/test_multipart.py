"""The multipart writer against a store that only counts, for sizes no test could really store."""

import base64
import hashlib
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from backups.storage.multipart import store
from backups.storage.parts import MOST_PARTS, part_size
from backups.storage.s3_put import Target
from jobs.errors import BackupError
from tests.contracts.destination_suite import DumpFailed, Producer

TINY = 16  # stands for 16 MiB


class CountingClient:
    """The calls of an S3 client that the writer makes, with S3's own limits and ETags."""

    def __init__(self, delay_s: float = 0) -> None:
        self.delay_s = delay_s
        self.parts: dict[int, bytes] = {}
        self.stored: bytes | None = None
        self.open = False
        self.recorded = False

    def create_multipart_upload(self, **where: Any) -> dict[str, Any]:
        self.open = True
        return {"UploadId": "upload-1"}

    def upload_part(self, **call: Any) -> dict[str, Any]:
        number = call["PartNumber"]
        assert self.recorded
        assert 1 <= number <= MOST_PARTS
        time.sleep(self.delay_s)
        self.parts[number] = call["Body"].read()
        assert call["ContentMD5"] == base64.b64encode(hashlib.md5(self.parts[number]).digest()).decode()
        return {"ETag": f'"{hashlib.md5(self.parts[number]).hexdigest()}"'}

    def complete_multipart_upload(self, **call: Any) -> dict[str, Any]:
        numbers = [part["PartNumber"] for part in call["MultipartUpload"]["Parts"]]
        assert numbers == sorted(self.parts)
        self.stored = b"".join(self.parts[number] for number in numbers)
        self.open = False
        return {"ETag": self._etag()}

    def head_object(self, **where: Any) -> dict[str, Any]:
        assert self.stored is not None
        return {"ETag": self._etag(), "ContentLength": len(self.stored)}

    def abort_multipart_upload(self, **where: Any) -> None:
        self.open = False
        self.parts.clear()

    def delete_object(self, **where: Any) -> None:
        self.stored = None

    def _etag(self) -> str:
        digests = b"".join(hashlib.md5(self.parts[number]).digest() for number in sorted(self.parts))
        return f'"{hashlib.md5(digests).hexdigest()}-{len(self.parts)}"'

    def record(self, upload_id: str) -> None:
        assert not self.parts
        self.recorded = True


def tiny(number: int) -> int:
    return part_size(number, first=TINY)


def target(client: CountingClient) -> Target:
    return Target(client, "bucket", "object")  # type: ignore[arg-type]


def test_what_needs_twelve_thousand_equal_parts_fits() -> None:
    client, producer = CountingClient(), Producer(12_000 * TINY)
    assert store(target(client), producer, on_upload=client.record, plan=tiny) == 12_000 * TINY
    assert client.stored is not None
    assert hashlib.sha256(client.stored).digest() == producer.digest.digest()
    assert len(client.parts) < 6_000


def test_twelve_thousand_parts_are_refused_and_removed() -> None:
    client = CountingClient()
    with pytest.raises(BackupError) as raised:
        store(target(client), Producer(12_000 * TINY), on_upload=client.record, plan=lambda number: TINY)
    assert (raised.value.code, raised.value.permanent) == ("object_too_large", True)
    assert (client.stored, client.parts, client.open) == (None, {}, False)


def test_ten_thousand_parts_are_allowed() -> None:
    client = CountingClient()
    size = MOST_PARTS * TINY
    assert store(target(client), Producer(size), on_upload=client.record, plan=lambda number: TINY) == size
    assert len(client.parts) == MOST_PARTS


def test_one_part_is_filled_while_another_is_sent() -> None:
    sending, read_on = threading.Event(), threading.Event()

    class Told(Producer):
        def readinto(self, buffer: bytearray | memoryview) -> int:
            if sending.is_set():
                read_on.set()
            return super().readinto(buffer)

    class Waiting(CountingClient):
        def upload_part(self, **call: Any) -> dict[str, Any]:
            sending.set()
            assert read_on.wait(30), "nothing was read while a part was sent"
            return super().upload_part(**call)

    client = Waiting()
    store(target(client), Told(20 * TINY), on_upload=client.record, plan=lambda number: TINY)
    assert len(client.parts) == 20


def test_a_store_that_holds_other_bytes_is_not_believed() -> None:
    class Corrupting(CountingClient):
        def upload_part(self, **call: Any) -> dict[str, Any]:
            super().upload_part(**call)
            return {"ETag": '"' + "0" * 32 + '"'}

    client = Corrupting()
    with pytest.raises(BackupError) as raised:
        store(target(client), Producer(100), on_upload=client.record, plan=lambda number: TINY)
    assert raised.value.code == "destination_corrupts"
    assert (client.parts, client.open) == ({}, False)


@pytest.mark.parametrize("fault", [{"ETag": f'"{"0" * 32}-7"'}, {"ContentLength": 99}])
def test_a_whole_that_differs_from_its_parts_is_removed(fault: dict[str, Any]) -> None:
    class Losing(CountingClient):
        def head_object(self, **where: Any) -> dict[str, Any]:
            return super().head_object() | fault

    client = Losing()
    with pytest.raises(BackupError) as raised:
        store(target(client), Producer(100), on_upload=client.record, plan=lambda number: TINY)
    assert raised.value.code == "destination_corrupts"
    assert client.stored is None


def test_etags_that_are_no_digests_are_not_compared() -> None:
    class Encrypting(CountingClient):
        def upload_part(self, **call: Any) -> dict[str, Any]:
            super().upload_part(**call)
            return {"ETag": '"' + "0" * 32 + '"', "ServerSideEncryption": "aws:kms"}

    client = Encrypting()
    assert store(target(client), Producer(100), on_upload=client.record, plan=lambda number: TINY) == 100


def test_an_upload_that_cannot_be_recorded_sends_nothing() -> None:
    client = CountingClient()

    def fail(upload_id: str) -> None:
        raise DumpFailed

    with pytest.raises(DumpFailed):
        store(target(client), Producer(100), on_upload=fail, plan=lambda number: TINY)
    assert (client.parts, client.open) == ({}, False)


def test_a_cancel_during_a_long_part_is_heard() -> None:
    client = CountingClient(delay_s=0.3)
    cancelled = threading.Event()
    threading.Timer(0.1, cancelled.set).start()

    def check() -> None:
        if cancelled.is_set():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store(target(client), Producer(10_000), on_upload=client.record, check=check, plan=lambda number: TINY)
    assert len(client.parts) == 0
    assert not client.open


@pytest.mark.parametrize("came_to_be", [True, False])
def test_a_completion_whose_answer_was_lost_is_settled_by_the_object_itself(came_to_be: bool) -> None:
    """The try after it is told that there is no such upload: because it was completed, or because it was aborted."""

    class Forgetful(CountingClient):
        def complete_multipart_upload(self, **call: Any) -> dict[str, Any]:
            if came_to_be:
                super().complete_multipart_upload(**call)
            raise ClientError({"Error": {"Code": "NoSuchUpload"}}, "CompleteMultipartUpload")

        def head_object(self, **where: Any) -> dict[str, Any]:
            if self.stored is None:
                raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
            return super().head_object()

    client = Forgetful()
    if came_to_be:
        assert store(target(client), Producer(100), on_upload=client.record, plan=lambda number: TINY) == 100
        return
    with pytest.raises(BackupError) as raised:
        store(target(client), Producer(100), on_upload=client.record, plan=lambda number: TINY)
    assert raised.value.code == "object_missing"
