"""Remove what is to go: the object first, the row last, and again until it is really gone."""

from collections.abc import Iterable

from django.db import transaction

from backups.services.stored_objects import remove_each
from jobs.errors import BackupError
from jobs.models import OPEN, Status
from jobs.services.forget import forget_traces
from packages.models import Package, PackageCopy


def remove_deleting() -> int:
    """The sweeper's step: removes copies that are to go, then packages that have none left. Returns the removals."""
    found = PackageCopy.objects.filter(state=PackageCopy.State.DELETING).select_related("destination").order_by("pk")
    removed = remove_each(found)
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
    remove_each(left.order_by("pk"))
    if left.exists():
        return False
    _forget([package.pk])
    return True


def _forget(packages: Iterable[str]) -> None:
    """Removes rows that nothing is stored for any more, and their logs."""
    ids = list(packages)
    forget_traces(kind=Package.kind, ids=ids)
    Package.objects.filter(pk__in=ids, status=Status.DELETING).delete()
