"""Reading a stored archive to its end."""

from collections.abc import Mapping
from typing import Any

from databases.engines.base import Guard, Source
from databases.engines.s3_bucket.walk import Walk


def verify_structure(source: Source, guard: Guard) -> Mapping[str, Any]:
    """Headers, sizes and the SHA-256 of every object agree with the manifests and the summary inside the tar.

    Raises BackupError(code="structure"), and what the source raises.
    """
    walk = Walk(source, guard.check)
    for _ in walk:
        guard.check()
    return {
        "format": "tar",
        "objects": walk.objects,
        "bytes": walk.bytes,
        "voided": walk.voided,
        "deleted": walk.deleted,
    }
