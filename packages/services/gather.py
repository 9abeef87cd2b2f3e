"""Choose what goes into a package, and hold it against deletion until the run has ended."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from django.db import transaction

from backups.by_hand import FILES, load_by_hand
from backups.models import Backup, Copy
from backups.selectors import readable_copies, stored_copy
from backups.services.chain import chain_of
from databases.models import Database
from jobs.errors import BackupError
from jobs.lease import Lease, LeaseLost
from jobs.models import Status
from packages.models import OnMissing, Package, PackageMember
from packages.selectors import databases_to_package, whole_backups


@dataclass(frozen=True)
class Source:
    """An artefact that is to become a member: its copies, the nearest first, and what the index says of it."""

    row: PackageMember
    copies: list[Copy]
    modified: datetime
    facts: dict[str, Any]
    by_hand: list[str]


def gather(*, package: Package, lease: Lease) -> tuple[list[Source], list[PackageMember]]:
    """What is to be packaged, parents before what builds on them, and the Databases of which there is nothing.

    Their rows are written; from then on no backup among them can be deleted. Raises BackupError: member_missing,
    nothing_to_package. Raises LeaseLost when another attempt has taken over.
    """
    with transaction.atomic():
        if not lease.own_rows.select_for_update().exists():
            raise LeaseLost(f"{package.pk}: another process has taken the job over")
        package.members.all().delete()
        sources: list[Source] = []
        missing: list[PackageMember] = []
        for database in databases_to_package(package.databases):
            try:
                sources += _sources_of(package, database)
            except BackupError as error:
                missing.append(_missing(package, database.pk, database.name, error.message))
        gone = set(package.databases) - {row.database_id for row in [*missing, *(source.row for source in sources)]}
        missing += [_missing(package, pk, pk, "The Database was deleted.") for pk in sorted(gone)]
        rows = [*(source.row for source in sources), *missing]
        for position, row in enumerate(rows):
            row.position = position
        PackageMember.objects.bulk_create(rows, batch_size=500)
    if missing and package.on_missing == OnMissing.FAIL:
        raise member_missing(missing[0])
    if not sources:
        raise nothing_left()
    return sources, missing


def member_missing(row: PackageMember) -> BackupError:
    return BackupError(
        f"{row.database_name} cannot be packaged: {row.missing}",
        code="member_missing",
        permanent=True,
        hint="Make a new backup of it, or let packages leave out what is missing (on_missing: skip).",
    )


def nothing_left() -> BackupError:
    return BackupError(
        "There is nothing to package: of every Database the backup is missing.",
        code="nothing_to_package",
        permanent=True,
        hint="The page of the package says of each what is missing.",
    )


def _sources_of(package: Package, database: Database) -> list[Source]:
    """Raises BackupError when the newest backup, or one that it builds on, cannot be read."""
    chain = chain_of(_held(database))
    sources: list[Source] = []
    for backup in chain:
        stored_copy(backup)  # says that there is none
        parents = [source.row.name for source in sources]
        sources.append(_source(package, database, backup, readable_copies(backup), parents))
        sources[-1].row.is_parent = backup is not chain[-1]
    return sources


def _held(database: Database) -> Backup:
    """The newest whole backup, locked until its member's row is written: whoever deletes it asks under this lock."""
    while (pk := whole_backups(database).values_list("pk", flat=True).first()) is not None:
        held = Backup.objects.select_for_update().filter(pk=pk, status=Status.COMPLETED).first()
        if held is not None:
            return held
    raise BackupError(f"{database.name} has no completed backup.", code="member_missing", permanent=True)


def _source(package: Package, database: Database, backup: Backup, copies: list[Copy], parents: list[str]) -> Source:
    name = f"{backup.database_id}/{PurePosixPath(copies[0].key).name}"
    row = PackageMember(
        package=package,
        database_id=database.pk,
        database_name=database.name,
        backup=backup,
        backup_label=backup.pk,
        name=name,
        size=backup.size,
        sha256=backup.sha256,
    )
    return Source(
        row=row,
        copies=copies,
        modified=backup.finished_at or backup.created_at,
        facts=_facts(backup, parents),
        by_hand=load_by_hand(backup=backup, file=name, into=f"{FILES}/{database.pk}"),
    )


def _facts(backup: Backup, parents: list[str]) -> dict[str, Any]:
    return {
        "database": {"id": backup.database_id, "name": backup.database_name, "engine": backup.engine},
        "backup": {"id": backup.pk, "type": backup.type, "created_at": backup.created_at.isoformat()},
        "size": backup.size,
        "md5": backup.md5,
        "sha256": backup.sha256,
        "original_size": backup.original_size,
        "original_blake3": backup.original_blake3,
        "compression": backup.compression,
        "encryption": backup.encryption,
        "parents": list(parents),
    }


def _missing(package: Package, pk: str, name: str, reason: str) -> PackageMember:
    return PackageMember(package=package, database_id=pk, database_name=name, missing=reason)
