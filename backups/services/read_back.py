"""Read a stored object back and compare it with what was sent."""

from backups.models import Copy
from backups.pipeline.encode import Digests
from backups.pipeline.reader import read_digests
from backups.storage.base import PERMISSION, ObjectStorage
from jobs.errors import BackupError
from jobs.lease import Lease

SAID = {
    Copy.Readback.FULL: "read back and compared",
    Copy.Readback.CHECKSUM: "the store's own checksums agree, its credentials may not read back",
}


def read_back(
    *, storage: ObjectStorage, key: str, digests: Digests, lease: Lease, version_id: str = ""
) -> Copy.Readback:
    """How it was compared. Raises BackupError(code="readback_mismatch"), and what the destination says.

    Credentials that may only write cannot read it back: then the checksums stand that the store confirmed for each
    part while it took them.
    """
    lease.phase("read_back", estimate=digests.size)
    try:
        with storage.open_stream(key, version_id=version_id) as stored:
            found = read_digests(stored, check=lease.check, progress=lease.progress)
    except BackupError as error:
        if error.code != PERMISSION:
            raise
        return Copy.Readback.CHECKSUM
    if found != (digests.size, digests.md5, digests.sha256):
        raise BackupError(
            f"Read back {found[0]} bytes that differ from the {digests.size} bytes written.",
            code="readback_mismatch",
            hint="The destination or the way to it corrupts data: check its disk and memory.",
        )
    return Copy.Readback.FULL
