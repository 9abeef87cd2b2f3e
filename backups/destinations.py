"""A Destination row -> a storage that artefacts are written to and read from."""

from functools import lru_cache

from backups.models import Destination
from backups.registry import other_objects
from backups.storage.base import DestinationReport, ObjectStorage
from backups.storage.local import LocalStorage
from jobs.errors import BackupError
from jobs.fields import unseal


def open_storage(destination: Destination) -> ObjectStorage:
    """Raises BackupError(code="missing_key") when its secrets cannot be opened. Talks to nobody yet."""
    if destination.kind == Destination.Kind.LOCAL:
        return LocalStorage(destination.path, reserve_bytes=destination.reserve_bytes, marker=destination.pk)
    return _s3(
        bucket=destination.bucket,
        prefix=destination.prefix,
        endpoint_url=destination.endpoint_url,
        region=destination.region,
        access_key=destination.access_key,
        secret_key=unseal(destination.secrets).get("secret_key", ""),
        ca=destination.ca,
        storage_class=destination.storage_class,
        encryption=destination.server_side_encryption,
        kms_key_id=destination.kms_key_id,
        addressing=destination.addressing,
        lock_mode=destination.object_lock_mode,
        lock_days=destination.object_lock_days or 0,
    )


@lru_cache(maxsize=32)
def _s3(*, lock_mode: str, lock_days: int, **settings: str) -> ObjectStorage:
    """Making an S3 client costs tens of milliseconds; one is kept for each set of settings."""
    from backups.storage.s3 import S3BackupStorage  # imports boto3: 350 ms that a site on local disk never pays
    from backups.storage.s3_lock import Lock

    return S3BackupStorage(lock=Lock(lock_mode, lock_days), **settings)


def check_destination(destination: Destination) -> DestinationReport:
    """Writes, reads back, lists and deletes a small object; asks a bucket for Object Lock where objects are to be held.

    A Destination that holds nothing yet is made ready first (a folder and its marker); one that holds something must
    have its marker, or a disk that is not mounted would pass for an empty one.
    """
    try:
        empty = not destination.copies.exists() and not other_objects(destination.pk)
        return open_storage(destination).check(create=empty)
    except BackupError as error:
        return DestinationReport(ok=False, error=error.message, code=error.code, hint=error.hint)
