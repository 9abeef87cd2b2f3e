"""What a package holds, entry by entry: artefacts as they are stored, their manifests, an index, and how to restore."""

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from backups.artefact import SIDECAR_SUFFIX, sidecar_key
from backups.by_hand import FILES
from backups.destinations import open_storage
from backups.pipeline.archive import Entry, Piece
from backups.storage.readers import Reader
from jobs.errors import BackupError
from jobs.lease import Lease
from packages.models import OnMissing, Package, PackageMember
from packages.services.gather import Source, member_missing, nothing_left

SCHEMA_VERSION = 1
INDEX, NOTES = "index.json", "RESTORE.txt"
BLOCK = 1 << 20
GONE = frozenset({"object_missing", "object_truncated"})  # of an object: it will not come back by itself


class Contents:
    """Read once, from the first entry to the last; after that `index` says what there really was.

    An artefact that is gone when its turn comes fails the package or is left out, as the package says. One that turns
    out to be damaged while it streams fails the package: its bytes are in the archive already. Nothing here asks the
    site's database: the entries are read in another thread.
    """

    def __init__(
        self,
        *,
        package: Package,
        sources: Sequence[Source],
        missing: Sequence[PackageMember],
        made_at: datetime,
        lease: Lease,
    ) -> None:
        self._package, self._sources, self._made_at, self._lease = package, sources, made_at, lease
        self._packed: list[Source] = []
        self._lost = {row.database_id for row in missing}
        self.missing = list(missing)

    @property
    def size(self) -> int:
        """Bytes of all artefacts that are to go in."""
        return sum(source.row.size or 0 for source in self._sources)

    def entries(self) -> Generator[Entry, None, None]:
        for source in self._sources:
            yield from self._artefact(source)
        if not self._packed:
            raise nothing_left()
        yield self._text(INDEX, _json(self.index()))
        yield self._text(NOTES, self._notes())

    def index(self) -> dict[str, Any]:
        """index.json; docs/artefact.md specifies it."""
        package = self._package
        return {
            "schema_version": SCHEMA_VERSION,
            "package": {
                "id": package.pk,
                "made_at": self._made_at.isoformat(),
                "compression": package.compression,
                "on_missing": package.on_missing,
            },
            "members": [{"name": source.row.name, **source.facts} for source in self._packed],
            "missing": [
                {
                    "database": {"id": row.database_id, "name": row.database_name},
                    "backup": row.backup_label or None,
                    "reason": row.missing,
                }
                for row in self.missing
            ],
        }

    def _artefact(self, source: Source) -> Iterator[Entry]:
        row = source.row
        if row.database_id in self._lost:
            self._leave_out(row, "What it builds on is missing.")
            return
        with ExitStack() as stack:
            try:
                reader, manifest = self._opened(source, stack)
            except BackupError as error:
                if error.code not in GONE:
                    raise
                self._leave_out(row, error.message)
                return
            self._packed.append(source)
            yield Entry(row.name, row.size or 0, source.modified, _compared(row, reader))
        if manifest is None:
            self._lease.log(f"{row.name} has no manifest beside it")
        else:
            yield self._text(row.name + SIDECAR_SUFFIX, manifest)

    def _opened(self, source: Source, stack: ExitStack) -> tuple[Reader, str | None]:
        """Of the nearest copy that is there. Raises what a destination says that may have it, else that it is gone."""
        faults: list[BackupError] = []
        for copy in source.copies:
            try:
                storage = open_storage(copy.destination)
                stream = storage.open_stream(copy.key, length=source.row.size, version_id=copy.version_id)
                return stack.enter_context(stream), _manifest(storage.read_text, copy.key)
            except BackupError as error:
                self._lease.log(f"the copy of {source.row.backup_label} at {copy.destination_id}: {error}")
                faults.append(error)
        raise next((fault for fault in faults if fault.code not in GONE), faults[0])

    def _leave_out(self, row: PackageMember, reason: str) -> None:
        row.missing = reason
        self.missing.append(row)
        self._lost.add(row.database_id)
        if self._package.on_missing == OnMissing.FAIL:
            raise member_missing(row)
        self._lease.log(f"left out {row.database_name} ({row.backup_label}): {reason}")

    def _text(self, name: str, text: str) -> Entry:
        content = text.encode()
        return Entry(name, len(content), self._made_at, [content])

    def _notes(self) -> str:
        """Stock commands, member by member, in the order of their chains."""
        opening = "unzip" if self._package.compression == "zip" else "tar -xzf"
        lines = [
            f"{self._package.pk}, made {self._made_at:%Y-%m-%d %H:%M:%S} UTC by Backupsite.",
            "",
            f"Unpack the package with `{opening}` and stay in the folder that holds this file. Each artefact is",
            "restored with stock tools, by itself. TARGET is an empty database; key.txt holds the age secret key,",
            "where one is needed. Run `set -o pipefail` first: a shell pipe hides the failure of all but its last",
            f"command. Files come to lie below {FILES}, in a folder for each Database. {INDEX} says the same for",
            "programs.",
        ]
        for source in self._packed:
            kind = f"{source.facts['database']['engine']}, {source.facts['backup']['type']}"
            lines += ["", f"# {source.row.database_name} ({kind}), {source.facts['backup']['created_at']}"]
            if source.facts["parents"]:
                lines.append("# builds on what stands above: restore that first")
            lines += source.by_hand
        for row in self.missing:
            lines += ["", f"# {row.database_name} is missing: {row.missing}"]
        return "\n".join(lines) + "\n"


def _manifest(read_text: Any, key: str) -> str | None:
    """The sidecar as it is stored; None where somebody removed it."""
    try:
        return str(read_text(sidecar_key(key)))
    except BackupError as error:
        if error.code != "object_missing":
            raise
        return None


def _compared(row: PackageMember, reader: Reader) -> Iterator[Piece]:
    """Exactly the bytes that were backed up. Raises BackupError(code="member_corrupt") at the end otherwise."""
    sha256, left = hashlib.sha256(), row.size or 0
    with memoryview(bytearray(BLOCK)) as buffer:
        while left:
            count = reader.readinto(buffer[: min(BLOCK, left)])
            if not count:
                break
            sha256.update(buffer[:count])
            left -= count
            yield buffer[:count]
    if left or sha256.hexdigest() != row.sha256:
        raise BackupError(
            f"{row.backup_label} of {row.database_name} holds other bytes than were backed up.",
            code="member_corrupt",
            permanent=True,
            hint=f"Verify {row.backup_label}: a damaged copy is then left out of packages until there is a new backup.",
        )


def _json(body: Any) -> str:
    return json.dumps(body, indent=2, sort_keys=True) + "\n"
