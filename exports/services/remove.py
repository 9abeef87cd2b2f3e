"""Let go of exports: when their time is over, when their user says so, and the rows of what is long gone."""

from collections.abc import Iterable
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from backups.services.stored_objects import remove_each
from exports.models import Export, ExportObject, SeenEvent
from exports.selectors import export_policy
from exports.services.links import revoke_links
from jobs.errors import BackupError
from jobs.models import OPEN, Status
from jobs.services.cancel import cancel_job
from jobs.services.forget import forget_traces

DELETING = ExportObject.State.DELETING


def delete_export(*, export: Export) -> None:
    """Its links end now, its user sees it no more; object and row go at once, or as soon as the destination answers.

    One that waits or runs is cancelled. Raises nothing for one that is gone.
    """
    if export.status in OPEN:
        try:
            cancel_job(job=export)
        except BackupError as error:
            if error.code != "wrong_state":  # it has just ended
                raise
    with transaction.atomic():
        row = Export.objects.select_for_update().filter(pk=export.pk).first()
        if row is None:
            return
        revoke_links(export=row)
        if row.status in OPEN:  # it runs, and stops within seconds: what it wrote goes then, see remove_deleted
            Export.objects.filter(pk=row.pk).update(pubkey="", metadata={})
            return
        Export.objects.filter(pk=row.pk).update(status=Status.DELETING)
        row.objects_stored.update(state=DELETING)
    remove_each(ExportObject.objects.filter(export=export.pk).select_related("destination").order_by("pk"))
    _forget(Export.objects.filter(pk=export.pk, status=Status.DELETING, objects_stored__isnull=True))


def expire_exports() -> int:
    """The sweeper's step: what has had its time can be fetched no more. The objects go with the step after it."""
    now = timezone.now()
    with transaction.atomic():
        over = Export.objects.filter(status=Status.COMPLETED, expires_at__lte=now).select_for_update()
        ids = list(over.values_list("pk", flat=True)[:1000])
        ExportObject.objects.filter(export__in=ids).update(state=DELETING)
        Export.objects.filter(pk__in=ids).update(status=Status.EXPIRED)
    return len(ids)


def remove_deleted() -> int:
    """The sweeper's step: objects that are to go, then rows that nothing is stored for and whose time is over."""
    found = ExportObject.objects.filter(state=DELETING).select_related("destination").order_by("pk")
    removed = remove_each(found)
    gone = Export.objects.filter(objects_stored__isnull=True)
    return removed + _forget(gone.filter(Q(status=Status.DELETING) | _old()))


def forget_seen_events() -> int:
    """The sweeper's step: an event that is too old anyway need not be remembered."""
    return SeenEvent.objects.filter(ends_at__lt=timezone.now()).delete()[0]


def _old() -> Q:
    """Ended before the policy's days; and, as soon as they have ended, those whose user deleted them while they ran."""
    ended = ~Q(status__in=[*OPEN, Status.COMPLETED])
    days = export_policy().kept_days
    before = timezone.now() - timedelta(days=days)
    return ended & (Q(pubkey="") | (Q(finished_at__lt=before) if days else Q(pk__in=())))


def _forget(exports: Iterable[Export]) -> int:
    """Rows and their logs."""
    ids = [export.pk for export in exports]
    forget_traces(kind=Export.kind, ids=ids)
    return Export.objects.filter(pk__in=ids).delete()[0] and len(ids)
