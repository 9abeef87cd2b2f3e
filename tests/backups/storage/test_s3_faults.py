"""A store and a network that fail at every step of a write and a read: retried where that helps, else nothing stays."""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from backups.storage import s3_calls
from backups.storage.s3 import S3BackupStorage
from jobs.errors import BackupError
from tests.backups.storage.conftest import S3Factory
from tests.backups.storage.flaky_proxy import Fault, FlakyProxy, flaky_proxy
from tests.contracts.destination_suite import MIB, Producer, read

FOR_EVER = 1000


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_calls, "PAUSES_S", (0.0, 0.0))


@pytest.fixture
def direct(s3_storage: S3Factory) -> S3BackupStorage:
    return s3_storage()


@pytest.fixture
def proxy(direct: S3BackupStorage) -> Iterator[FlakyProxy]:
    with flaky_proxy(direct.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def storage(proxy: FlakyProxy, s3_storage: S3Factory) -> S3BackupStorage:
    return s3_storage(endpoint_url=proxy.endpoint_url)


def uploads(storage: S3BackupStorage) -> list[str]:
    found = storage.client.list_multipart_uploads(Bucket=storage.bucket_name)
    return [upload["UploadId"] for upload in found.get("Uploads", ())]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(b"PUT ", sent=0),
        Fault(b"?uploads", sent=0),
        Fault(b"partNumber=1", sent=0),
        Fault(b"partNumber=2", sent=3 * MIB, times=4),
        Fault(b"partNumber=3", answered=0),
        Fault(b"POST /", answered=0, times=2),
    ],
    ids=str,
)
def test_a_lost_connection_while_writing_is_survived(
    storage: S3BackupStorage, proxy: FlakyProxy, direct: S3BackupStorage, fault: Fault
) -> None:
    proxy.faults.append(fault)
    producer = Producer(40 * MIB)
    assert storage.write("object", producer) == 40 * MIB
    assert proxy.hits > 0
    assert hashlib.sha256(read(direct, "object")).digest() == producer.digest.digest()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(b"?uploads", sent=0, times=FOR_EVER),
        Fault(b"partNumber=1", sent=MIB, times=FOR_EVER),
        Fault(b"partNumber=2", sent=3 * MIB, times=FOR_EVER),
        Fault(b"partNumber=3", sent=0, times=FOR_EVER),
        Fault(b"POST /", sent=0, times=FOR_EVER),
    ],
    ids=str,
)
def test_a_connection_that_stays_lost_while_writing_leaves_nothing(
    storage: S3BackupStorage, proxy: FlakyProxy, direct: S3BackupStorage, fault: Fault
) -> None:
    proxy.faults.append(fault)
    with pytest.raises(BackupError) as raised:
        storage.write("object", Producer(40 * MIB))
    assert (raised.value.code, raised.value.permanent) == ("destination_unreachable", False)
    assert proxy.hits > 2
    assert direct.stat("object") is None
    assert uploads(direct) == []


def test_a_small_object_whose_answer_is_lost_for_ever_is_taken_back(
    storage: S3BackupStorage, proxy: FlakyProxy, direct: S3BackupStorage
) -> None:
    proxy.faults.append(Fault(b"PUT /", answered=0, times=FOR_EVER))
    with pytest.raises(BackupError):
        storage.write("object", Producer(1000))
    assert direct.stat("object") is None


@pytest.mark.parametrize("times", [1, 5])
def test_a_lost_connection_while_reading_goes_on_where_it_was(
    storage: S3BackupStorage, proxy: FlakyProxy, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = Producer(50 * MIB)
    storage.write("object", producer)
    monkeypatch.setattr(s3_calls, "PAUSES_S", (0.0,) * 6)
    proxy.faults.append(Fault(b"GET /", answered=5 * MIB, times=times))
    assert hashlib.sha256(read(storage, "object")).digest() == producer.digest.digest()
    assert proxy.hits == times


def test_a_connection_that_stays_lost_while_reading_is_an_error(storage: S3BackupStorage, proxy: FlakyProxy) -> None:
    storage.write("object", Producer(20 * MIB))
    proxy.faults.append(Fault(b"GET /", answered=10_000, times=FOR_EVER))
    with pytest.raises(BackupError) as raised:
        read(storage, "object")
    assert raised.value.code == "destination_unreachable"


def test_an_object_that_is_replaced_while_read_is_an_error(direct: S3BackupStorage) -> None:
    direct.write("object", Producer(100 * MIB))
    with pytest.raises(BackupError) as raised, direct.open_stream("object") as reader:
        assert reader.readinto(bytearray(MIB)) == MIB
        direct.write("object", Producer(100 * MIB - 1))
        while reader.readinto(bytearray(16 * MIB)):
            pass
    assert raised.value.code == "object_changed"


def test_bytes_that_change_on_their_way_are_noticed(direct: S3BackupStorage) -> None:
    """The store refuses what does not match the digest that was sent along."""

    def flip(request: Any, **kwargs: object) -> None:
        body = bytearray(request.body.read())
        body[len(body) // 2] ^= 1
        request.body = io.BytesIO(body)

    direct.client.meta.events.register("before-send.s3.UploadPart", flip)
    with pytest.raises(BackupError):
        direct.write("object", Producer(20 * MIB))
    assert direct.stat("object") is None
    assert uploads(direct) == []


def test_what_a_killed_process_left_is_aborted(direct: S3BackupStorage) -> None:
    """The upload is recorded before its first part, so whoever cleans up knows it."""
    program = """if True:
        import os, sys
        from django.conf import settings
        settings.configure()
        from backups.storage.s3 import S3BackupStorage
        from tests.contracts.destination_suite import Producer
        calls = iter(range(40))
        check = lambda: next(calls, None) is None and os.kill(os.getpid(), 9)
        storage = S3BackupStorage(bucket=sys.argv[1], prefix=sys.argv[2], endpoint_url=sys.argv[3],
            region=sys.argv[4], access_key=sys.argv[5], secret_key=os.environ["KEY"], addressing="path")
        storage.write("object", Producer(100 << 20), check=check, on_upload=lambda id: print(id, flush=True))
    """
    known = [direct.bucket_name, direct.prefix, direct.endpoint_url, direct.region_name, direct.access_key]
    ran = subprocess.run(
        [sys.executable, "-c", program, *known],
        env={**os.environ, "KEY": direct.secret_key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == -9, ran.stderr
    assert uploads(direct) == [ran.stdout.strip()]
    longer = direct.client.create_multipart_upload(Bucket=direct.bucket_name, Key=direct.prefix + "object2")
    assert direct.abort_uploads("object", upload_id=ran.stdout.strip()) == 1
    assert uploads(direct) == [longer["UploadId"]]
    assert direct.stat("object") is None
