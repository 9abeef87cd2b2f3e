"""Reads about packages."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet

from backups.models import Backup, Destination
from backups.selectors import only_collection
from databases.models import Database
from jobs.errors import BackupError
from jobs.models import OPEN, Status
from packages.models import Package, PackageCopy, PackageMember, PackagePolicy


def package_policy() -> PackagePolicy:
    """The one row; as it would be made where nobody has saved it yet."""
    return PackagePolicy.objects.select_related("destination").first() or PackagePolicy()


def package_destination(policy: PackagePolicy) -> Destination:
    """Where packages go. Raises BackupError(code="no_destination")."""
    destination = policy.destination or Destination.objects.filter(is_default=True).first()
    if destination is None:
        raise BackupError(
            "Packages have no destination and there is no default one.",
            code="no_destination",
            permanent=True,
            hint="Add a Destination and mark it as the default, or name one in the policy of packages.",
        )
    return destination


def databases_to_package(asked: Sequence[str]) -> QuerySet[Database]:
    """Those asked for, else all with `package` on."""
    return (Database.objects.filter(pk__in=asked) if asked else Database.objects.filter(package=True)).order_by("pk")


def whole_backups(database: Database) -> QuerySet[Backup]:
    """Completed backups that hold all of a Database, the newest first: neither selective nor of one of several
    collections."""
    whole = Q(collection="") | Q(collection=only_collection(database))
    found = Backup.objects.filter(whole, database=database.pk, status=Status.COMPLETED)
    return found.exclude(type=Backup.Type.SELECTIVE).order_by("-created_at", "-pk")


def packages_with_copies() -> QuerySet[Package]:
    """For lists: a constant number of queries, without the large column."""
    return Package.objects.defer("manifest").prefetch_related("copies")


def stored_copy(package: Package) -> PackageCopy:
    """The copy to read. Raises BackupError(code="vanished") when none is stored."""
    copy = package.copies.filter(state=PackageCopy.State.STORED).select_related("destination").first()
    if copy is None:
        raise BackupError(
            f"{package.pk} is not stored.",
            code="vanished",
            permanent=True,
            hint="It is not completed, or it was deleted.",
        )
    return copy


def members_being_read() -> QuerySet[Any]:
    """(backup, package) for every backup that an open run puts into a package."""
    held = PackageMember.objects.filter(package__status__in=OPEN, backup__isnull=False)
    return held.order_by().values_list("backup_id", "package_id")
