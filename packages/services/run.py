"""Run a package: artefacts -> archive -> destination -> read back -> sidecar. `completed` is the last write."""

import json
from contextlib import closing
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from backups.artefact import sidecar_key
from backups.destinations import open_storage
from backups.models import Destination
from backups.pipeline.archive import PieceReader, Writer, tar_stream, zip_stream
from backups.pipeline.encode import Digests
from backups.pipeline.encoding import Encoding
from backups.services.stored_objects import store, undo
from jobs.errors import BackupError
from jobs.lease import Lease
from jobs.models import Status
from packages.models import Compression, Package, PackageCopy, PackageMember
from packages.selectors import package_destination, package_policy
from packages.services.contents import Contents
from packages.services.events import record_package_event
from packages.services.gather import gather

# Members are compressed already: the gzip of a tar is there because its name says so, and takes its fastest level.
FORMATS: dict[str, tuple[Writer, Encoding]] = {
    Compression.ZIP: (zip_stream, Encoding(compression="none")),
    Compression.TAR_GZ: (tar_stream, Encoding(compression="gzip", level=1)),
}


def may_start(package: Package) -> bool:
    """One at a time, in the order they were asked for."""
    earlier = Package.objects.filter(status=Status.PENDING, created_at__lt=package.created_at)
    return not (Package.objects.filter(status=Status.IN_PROGRESS).exists() or earlier.exists())


def run_package(package: Package, lease: Lease) -> dict[str, Any]:
    """One attempt; returns what `completed` sets. Whatever goes wrong, this attempt's objects are removed."""
    lease.phase("gather", moves_bytes=False)
    destination, made_at = package_destination(package_policy()), timezone.now()
    sources, missing = gather(package=package, lease=lease)
    lease.log(f"packaging {len(sources)} artefacts")
    if missing:
        lease.log(f"left out, for there is nothing to package: {', '.join(one.database_id for one in missing)}")
    contents = Contents(package=package, sources=sources, missing=missing, made_at=made_at, lease=lease)
    _require_room(destination, contents.size)
    copy = _begin_copy(package, destination, made_at)
    try:
        digests = _store(package, contents, copy, lease)
        body = _sidecar(copy.key, digests, contents)
        text = json.dumps(body, indent=2, sort_keys=True)
        open_storage(copy.destination).write_text(sidecar_key(copy.key), text)
    except BaseException:
        undo(copy)
        raise
    PackageMember.objects.bulk_update([row for row in contents.missing if row.backup_label], ["missing"])
    return {
        "size": digests.size,
        "md5": digests.md5,
        "sha256": digests.sha256,
        "manifest": body,
        "bytes_done": digests.original_size,
        "bytes_total_estimate": digests.original_size,
    }


def ended(package: Package) -> None:
    """The attempt's copy follows its outcome, in the same transaction. Members are held by open packages only."""
    own = package.copies.filter(state=PackageCopy.State.WRITING)
    if package.status == Status.COMPLETED:
        own.filter(attempt=package.attempt).update(state=PackageCopy.State.STORED, upload_id="")
    own.update(state=PackageCopy.State.DELETING)
    record_package_event(package)


def _require_room(destination: Destination, size: int) -> None:
    """Said before a byte is written: what a package will take is known."""
    free = open_storage(destination).free_bytes()
    if free is not None and free < size:
        raise BackupError(
            f"{destination.name} has {free} bytes left for artefacts, the package needs {size}.",
            code="destination_full",
            hint="Free space there, keep fewer packages, or name another destination in the policy of packages.",
        )


def _begin_copy(package: Package, destination: Destination, at: datetime) -> PackageCopy:
    """The place may have changed since the run began; once this row is there, it cannot."""
    name = f"package_{at:%Y-%m-%d_%H-%M-%S}_{package.pk}-{package.attempt}.{package.compression}"
    key = f"packages/{at:%Y}/{at:%m}/{name}"
    with transaction.atomic():
        destination = Destination.objects.select_for_update().get(pk=destination.pk)
        return PackageCopy.objects.create(package=package, destination=destination, attempt=package.attempt, key=key)


def _store(package: Package, contents: Contents, copy: PackageCopy, lease: Lease) -> Digests:
    write, encoding = FORMATS[package.compression]
    lease.phase("pack", estimate=contents.size)
    lease.log(f"packing into {copy.key}")
    with closing(contents.entries()) as entries, closing(write(entries)) as pieces:
        return store(row=copy, source=PieceReader(pieces), encoding=encoding, lease=lease)


def _sidecar(key: str, digests: Digests, contents: Contents) -> dict[str, Any]:
    """The index once more, with the key, the size and the digests of the package itself."""
    artefact = {"key": key, "size": digests.size, "md5": digests.md5, "sha256": digests.sha256}
    return {**contents.index(), "artefact": artefact}
