"""Names and contents of what is stored: the key, and the sidecar manifest. docs/artefact.md is the specification."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backups.models import Backup
from backups.pipeline.encode import Digests
from backups.pipeline.encoding import Encoding

SCHEMA_VERSION = 1
SIDECAR_SUFFIX = ".manifest.json"
_BESIDE = re.compile(r"(\.manifest\.json|\.index\.zst(\.age)?)$")
_NUMBER = re.compile(r"-\d+((?:\.[a-z0-9]+)+)$")
_OURS = re.compile(
    r"(?P<folder>[a-z0-9_-]+)/\d{4}/\d{2}/(?P<name>[a-z0-9_-]+)_(?P<at>\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)"
    r"_(?P<kind>bkp|pkg)_(?P<id>[a-z0-9]{12})-(?P<attempt>\d{1,4})(\.[a-z0-9]+)+"
)


def key_of(*, backup: Backup, attempt: int, extension: str, at: datetime) -> str:
    """`<database>/<yyyy>/<mm>/<database>_<time>_<backup>-<attempt><extension>`; the destination adds its prefix."""
    name = f"{backup.database_id}_{at:%Y-%m-%d_%H-%M-%S}_{backup.pk}-{attempt}{extension}"
    return f"{backup.database_id}/{at:%Y}/{at:%m}/{name}"


def renumbered(key: str, number: int) -> str:
    """The key of another copy of the artefact under `key`. A number is given once for each backup, whoever writes."""
    return _NUMBER.sub(rf"-{number}\1", key)


@dataclass(frozen=True)
class KeyParts:
    """What a key says: whose artefact, of which run and attempt, begun when (UTC). `run` tells backups and packages."""

    folder: str
    run: str
    attempt: int
    at: datetime


def parts_of(key: str) -> KeyParts | None:
    """Of an artefact's own key; None where no site could have given it."""
    found = _OURS.fullmatch(key)
    if found is None or (found["folder"], found["kind"]) not in ((found["name"], "bkp"), ("packages", "pkg")):
        return None
    try:
        at = datetime.strptime(found["at"], "%Y-%m-%d_%H-%M-%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return KeyParts(found["folder"], f"{found['kind']}_{found['id']}", int(found["attempt"]), at)


def sidecar_key(key: str) -> str:
    return key + SIDECAR_SUFFIX


def index_key(key: str, *, encrypted: bool) -> str:
    return f"{key}.index.zst{'.age' if encrypted else ''}"


def index_keys(key: str) -> tuple[str, str]:
    """Where the index of an artefact may lie: whether it is encrypted is not known before it is written."""
    return index_key(key, encrypted=True), index_key(key, encrypted=False)


def artefact_key(key: str) -> str:
    """The key of the artefact that the object under `key` is, or lies beside."""
    return _BESIDE.sub("", key)


def looks_like_ours(key: str) -> bool:
    """Whether a site could have stored this: an artefact or a package, or what lies beside one."""
    found = _OURS.fullmatch(artefact_key(key))
    return found is not None and (found["folder"], found["kind"]) in ((found["name"], "bkp"), ("packages", "pkg"))


def sidecar(
    *,
    backup: Backup,
    key: str,
    digests: Digests,
    encoding: Encoding,
    facts: dict[str, Any],
    index: Mapping[str, Any],
) -> dict[str, Any]:
    """Enough to adopt the artefact after losing the manager. `index` is what `store_index` returned."""
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
            "parents": _parents(backup.parent),
            "index": dict(index),
        },
        "engine": facts,
    }


def _parents(parent: Backup | None) -> list[str]:
    """Keys of what a backup builds on, oldest first."""
    if parent is None:
        return []
    artefact = parent.manifest["artefact"]
    return [*artefact["parents"], artefact["key"]]
