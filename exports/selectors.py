"""Reads about exports."""

from django.conf import settings
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, Sum
from django.utils import timezone

from backups.models import Destination
from exports.models import Export, ExportLink, ExportObject, ExportPolicy, Source
from jobs.errors import BackupError
from jobs.models import OPEN, Status


def export_policy() -> ExportPolicy:
    """The one row; as it would be made where nobody has saved it yet."""
    return ExportPolicy.objects.select_related("destination").first() or ExportPolicy()


def export_destination(policy: ExportPolicy) -> Destination:
    """Where exports go. Raises BackupError(code="no_destination")."""
    destination = policy.destination or Destination.objects.filter(is_default=True).first()
    if destination is None:
        raise BackupError(
            "Exports have no destination and there is no default one.",
            code="no_destination",
            permanent=True,
            hint="The operator adds a Destination and marks it as the default, or names one in the policy of exports.",
        )
    return destination


def enabled_sources() -> QuerySet[Source]:
    return Source.objects.filter(enabled=True).order_by("pk")


def lacks_address() -> bool:
    """Whether nobody can sign in for want of an address of this site: what is signed names it."""
    return not settings.BACKUPSITE_EXPORT_ORIGINS and enabled_sources().exists()


def exports_of(pubkey: str) -> QuerySet[Export]:
    """A user's own, the newest first. What the user has deleted is gone at once, whatever still has to be removed."""
    working = Prefetch("links", ExportLink.objects.filter(revoked_at=None))
    found = Export.objects.filter(pubkey=pubkey).exclude(status=Status.DELETING)
    return found.defer("manifest").prefetch_related(working)


def last_completed(pubkey: str) -> Export | None:
    """What an incremental continues: the newest completed one that held everything, still there or not."""
    done = Export.objects.filter(pubkey=pubkey, status__in=[Status.COMPLETED, Status.EXPIRED])
    return done.exclude(type=Export.Type.SELECTIVE).order_by("-finished_at", "-pk").first()


def open_exports(pubkey: str) -> int:
    return Export.objects.filter(pubkey=pubkey, status__in=OPEN).count()


def kept_bytes(pubkey: str) -> int:
    """Stored bytes of a user's exports: of what is over too, until its destination lets go of it."""
    there = Q(Exists(ExportObject.objects.filter(export=OuterRef("pk"))))
    kept = Export.objects.filter(Q(status=Status.COMPLETED) | there, pubkey=pubkey)
    return kept.aggregate(total=Sum("size"))["total"] or 0


def status_of(export: Export) -> str:
    """What the user is told: past its time an export is `expired`, also before the sweeper has come by."""
    ended = export.expires_at is not None and export.expires_at <= timezone.now()
    return Status.EXPIRED if export.status == Status.COMPLETED and ended else export.status


def stored_object(export: Export) -> ExportObject:
    """Raises BackupError(code="vanished") when none is stored."""
    stored = export.objects_stored.filter(state=ExportObject.State.STORED).select_related("destination").first()
    if stored is None:
        raise BackupError(f"{export.pk} is not stored.", code="vanished", permanent=True)
    return stored


def exports_for_operators() -> QuerySet[Export]:
    """For lists: without the large columns, and without what their users wrote."""
    return Export.objects.exclude(pubkey="").defer("manifest", "metadata", "select")
