"""Names and contents of what is stored: the key, and the sidecar manifest. docs/artefact.md is the specification."""

from datetime import datetime
from typing import Any

from backups.models import Backup
from backups.pipeline.encode import Digests
from backups.pipeline.encoding import Encoding

SCHEMA_VERSION = 1
SIDECAR_SUFFIX = ".manifest.json"


def key_of(*, backup: Backup, attempt: int, extension: str, at: datetime) -> str:
    """`<database>/<yyyy>/<mm>/<database>_<time>_<backup>-<attempt><extension>`; the destination adds its prefix."""
    name = f"{backup.database_id}_{at:%Y-%m-%d_%H-%M-%S}_{backup.pk}-{attempt}{extension}"
    return f"{backup.database_id}/{at:%Y}/{at:%m}/{name}"


def sidecar_key(key: str) -> str:
    return key + SIDECAR_SUFFIX


def sidecar(*, backup: Backup, key: str, digests: Digests, encoding: Encoding, facts: dict[str, Any]) -> dict[str, Any]:
    """Enough to adopt the artefact after losing the manager."""
    return {
        "schema_version": SCHEMA_VERSION,
        "backup": {
            "id": backup.pk,
            "type": backup.type,
            "label": backup.label,
            "created_at": backup.created_at.isoformat(),
            "include": backup.include,
            "exclude": backup.exclude,
        },
        "database": {"id": backup.database_id, "name": backup.database_name, "engine": backup.engine},
        "artefact": {
            "key": key,
            "size": digests.size,
            "original_size": digests.original_size,
            "md5": digests.md5,
            "sha256": digests.sha256,
            "original_blake3": digests.original_blake3,
            "compression": encoding.compression,
            "encryption": "age" if encoding.recipients else "none",
            "recipients": list(encoding.recipients),
            "parents": [],
        },
        "engine": facts,
    }
