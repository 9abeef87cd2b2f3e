"""Remove what is to go: the object first, the row last, and again until it is really gone."""

import logging
from collections.abc import Iterable

from django.db import transaction

from backups.artefact import sidecar_key
from backups.destinations import open_storage
from jobs.errors import BackupError
from jobs.models import OPEN, LogLine, Status
from packages.models import Package, PackageCopy

logger = logging.getLogger(__name__)


def remove_copy(copy: PackageCopy) -> None:
    """Deletes the objects of a copy, unfinished uploads included, then its row. Raises BackupError or OSError."""
    storage = open_storage(copy.destination)
    storage.abort_uploads(copy.key, upload_id=copy.upload_id or None)
    storage.delete(copy.key)
    storage.delete(sidecar_key(copy.key))
    copy.delete()


def remove_deleting() -> int:
    """The sweeper's step: removes copies that are to go, then packages that have none left. Returns the removals."""
    found = PackageCopy.objects.filter(state=PackageCopy.State.DELETING).select_related("destination").order_by("pk")
    removed = _remove(found)
    _forget(Package.objects.filter(status=Status.DELETING, copies__isnull=True).values_list("pk", flat=True))
    return removed


def delete_package(*, package: Package) -> bool:
    """Deletes the objects, then the row. True when all is gone, False while the destination does not answer.

    Raises BackupError(code="wrong_state") while the package is still to run.
    """
    with transaction.atomic():
        row = Package.objects.select_for_update().get(pk=package.pk)
        if row.status in OPEN:
            raise BackupError(f"{row.pk} is {row.status}; cancel it first.", code="wrong_state", permanent=True)
        Package.objects.filter(pk=row.pk).update(status=Status.DELETING)
        row.copies.update(state=PackageCopy.State.DELETING)
    left = PackageCopy.objects.filter(package=package.pk).select_related("destination")
    _remove(left.order_by("pk"))
    if left.exists():
        return False
    _forget([package.pk])
    return True


def _remove(copies: Iterable[PackageCopy]) -> int:
    """A destination that does not answer is asked once a round: each question takes its timeouts."""
    removed = 0
    silent: set[str] = set()
    for copy in copies:
        if copy.destination_id in silent:
            continue
        try:
            remove_copy(copy)
            removed += 1
        except (BackupError, OSError) as error:
            if not (isinstance(error, BackupError) and error.permanent):
                silent.add(copy.destination_id)
            if str(error)[:2000] != copy.error:
                logger.warning("%s stays for now: %s", copy.key, error)
            PackageCopy.objects.filter(pk=copy.pk).update(error=str(error)[:2000])
    return removed


def _forget(packages: Iterable[str]) -> None:
    """Removes rows that nothing is stored for any more, and their logs."""
    ids = list(packages)
    LogLine.objects.filter(job_kind=Package.kind, job_id__in=ids).delete()
    Package.objects.filter(pk__in=ids, status=Status.DELETING).delete()
