"""Retention of one destination: copies go when its days are over, while another good one is left elsewhere."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from backups.anomaly_selectors import held_by
from backups.copy_retention import CopyFact, copies_to_go
from backups.models import Anomaly, Backup, Copy, DatabaseDestination
from backups.selectors import readers_of
from jobs.models import LogLine, Status

AT_ONCE = 100
UNNAMED = 1 << 16


def retain_copies(*, placement: DatabaseDestination, now: datetime) -> int:
    """Marks what goes, its objects are removed next; returns how many."""
    if placement.retention_days is None:
        return 0
    past = _passed(placement, now).order_by("backup__finished_at").values_list("backup", flat=True)
    return sum(_retain(backup, placement, now) for backup in list(past[:AT_ONCE]))


def _passed(placement: DatabaseDestination, now: datetime) -> QuerySet[Copy]:
    """A cheap choice of what has a chance to go."""
    stored = Copy.objects.filter(state=Copy.State.STORED, destination__fault="")
    another = stored.filter(backup=OuterRef("backup")).exclude(pk=OuterRef("pk"))
    return stored.filter(
        Exists(another),
        ~Exists(Anomaly.objects.filter(database=OuterRef("backup__database"), ended_at=None)),
        Q(retain_until__isnull=True) | Q(retain_until__lte=now),
        destination=placement.destination_id,
        locked=False,
        backup__database=placement.database_id,
        backup__status=Status.COMPLETED,
        backup__locked=False,
        backup__finished_at__lte=now - timedelta(days=placement.retention_days or 0),
    )


def _retain(pk: str, placement: DatabaseDestination, now: datetime) -> int:
    """Decided again under the backup's lock: it may have been locked, read, or have lost another copy meanwhile."""
    with transaction.atomic():
        backup = Backup.objects.select_for_update().defer("manifest").filter(pk=pk, status=Status.COMPLETED).first()
        if backup is None or backup.finished_at is None or backup.locked or readers_of(backup):
            return 0
        if held_by([backup.database_id]):  # one was marked meanwhile
            return 0
        going = copies_to_go(_facts(backup, now), finished_at=backup.finished_at, now=now)
        copies = backup.copies.filter(pk__in=going, destination=placement.destination_id)
        gone = copies.update(state=Copy.State.DELETING)
        if gone:
            message = f"the copy at {placement.destination_id} expires after {placement.retention_days} days"
            LogLine.objects.create(job_kind=Backup.kind, job_id=pk, attempt=backup.attempt, message=message)
    return gone


def _facts(backup: Backup, now: datetime) -> list[CopyFact]:
    """A copy at a destination that cannot be used may be lost with it: it lets no other one go."""
    named = {row.destination_id: row for row in DatabaseDestination.objects.filter(database=backup.database_id)}
    return [
        CopyFact(
            id=copy.pk,
            sound=copy.state == Copy.State.STORED and not copy.destination.fault,
            retention_days=place.retention_days if place else None,
            position=place.position if place else UNNAMED,
            held=copy.locked or (copy.retain_until is not None and copy.retain_until > now),
        )
        for copy in backup.copies.select_related("destination")
        for place in [named.get(copy.destination_id)]
    ]
