"""Read a small backup of a service back as its records, within a web request."""

import json
from typing import Any

from backups.models import Backup
from backups.selectors import identities_for
from backups.services.choose_copy import choose_copy
from backups.services.source import open_decoded, require_key
from databases.engines import registry
from jobs.errors import BackupError
from jobs.models import Status

MAX_STORED = 1 << 20  # bytes
MAX_PLAIN = 8 << 20  # bytes; as Python objects these are up to twenty times as many
MAX_DEPTH = 64  # of lists and objects in one another: writers of JSON recurse


def read_data(*, backup: Backup) -> list[Any]:
    """The records that this artefact holds; of an incremental, those that it adds to its parent.

    Raises BackupError: unsupported (another engine), wrong_state, too_large, vanished, missing_key, wrong_key,
    artefact_truncated, artefact_corrupt, unreadable_records, or what the destination says.
    """
    engine = registry.engine_class(backup.engine)
    manifest = backup.manifest.get("engine", {})
    engine.records(b"", manifest)  # who holds none says so, before anything is read
    if backup.status != Status.COMPLETED:
        raise BackupError(
            f"{backup.pk} is {backup.status}: only a completed backup can be read.", code="wrong_state", permanent=True
        )
    size = _bounded(backup)
    identities = identities_for(None)
    require_key(backup, identities, hint="Download the backup and open it with its key.")
    buffer = bytearray(size + 1)  # one more than there should be: the end has to be reached
    with open_decoded(backup=backup, copy=choose_copy(backup=backup), identities=identities) as reader:
        found = reader.readinto(buffer)
    if found != size:
        raise BackupError("The artefact unpacks to more than was backed up.", code="artefact_corrupt", permanent=True)
    try:
        records = engine.records(bytes(buffer[:size]), manifest)
        require_writable(records)
    except (ValueError, RecursionError) as error:
        raise BackupError(
            "The records cannot be shown as JSON.",
            code="unreadable_records",
            permanent=True,
            hint="Download the backup.",
        ) from error
    return records


def _bounded(backup: Backup) -> int:
    """The plain size. Raises BackupError(code="too_large")."""
    stored, plain = backup.size or 0, backup.original_size or 0
    if stored > MAX_STORED or plain > MAX_PLAIN:
        raise BackupError(
            f"{backup.pk} holds {stored} bytes, {plain} unpacked; at most {MAX_STORED} and {MAX_PLAIN} are shown.",
            code="too_large",
            permanent=True,
            hint="Download the backup.",
        )
    return plain


def require_writable(records: list[Any]) -> None:
    """Raises ValueError for what reads as JSON but is not written again: NaN, half surrogate pairs, deep nesting."""
    waiting: list[tuple[Any, int]] = [(records, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ValueError("too deep")
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            waiting += [(item, depth + 1) for item in value if isinstance(item, list | dict)]
    json.dumps(records, ensure_ascii=False, allow_nan=False).encode()
