"""Events of backups, written into the outbox in the transaction of the outcome, and the signals of their pings."""

from datetime import datetime

from django.db.models import QuerySet

from backups.models import Backup
from jobs.management.command import figure
from jobs.models import Status
from notifications.models import Delivery, Severity
from notifications.services.record import record_event
from notifications.services.save_ping import signal


def record_backup_start(backup: Backup) -> None:
    """Only who listens at the Database's ping address is told."""
    signal(database_id=backup.database_id or "", signal=Delivery.Signal.START)


def record_backup_event(backup: Backup) -> None:
    """Says nothing of an attempt that will be tried again."""
    if backup.status == Status.COMPLETED:
        _record_completed(backup)
    elif backup.status == Status.FAILED:
        _record(
            backup,
            Severity.ERROR,
            f"The backup of {backup.database_name} failed: {backup.error_message}",
            since=failing_since(backup) or backup.created_at,
            last_good_at=last_good_at(backup),
        )
        signal(database_id=backup.database_id or "", signal=Delivery.Signal.FAIL)
    elif backup.status == Status.CANCELLED:
        _record(backup, Severity.WARNING, f"The backup of {backup.database_name} was cancelled.")


def _record_completed(backup: Backup) -> None:
    _record(backup, Severity.INFO, f"{backup.database_name} was backed up: {figure(backup.size or 0)} stored.")
    signal(database_id=backup.database_id or "", signal=Delivery.Signal.OK)
    if (since := failing_since(backup)) is not None:
        record_event(
            kind="backup.recovered",
            subject_id=backup.pk,
            database_id=backup.database_id or "",
            message=f"{backup.database_name} has a good backup again; it failed since {since:%Y-%m-%d %H:%M} UTC.",
            data={"since": since},
        )


def last_good_at(backup: Backup) -> datetime | None:
    """When the newest good backup before this one began: what is lost if the Database is."""
    return _good_before(backup).values_list("started_at", flat=True).first()


def failing_since(backup: Backup) -> datetime | None:
    """When the first of the failures since the last good backup ended; None when there was none."""
    good = _good_before(backup).values_list("finished_at", flat=True).first()
    failures = _others(backup).filter(status=Status.FAILED, finished_at__isnull=False)
    if good is not None:
        failures = failures.filter(finished_at__gt=good)
    return failures.order_by("finished_at").values_list("finished_at", flat=True).first()


def _others(backup: Backup) -> QuerySet[Backup]:
    return Backup.objects.filter(database=backup.database_id).exclude(pk=backup.pk)


def _good_before(backup: Backup) -> QuerySet[Backup]:
    """The newest first. Retention may have taken its artefact since: it was good all the same."""
    good = (Status.COMPLETED, Status.EXPIRED)
    return _others(backup).filter(status__in=good, finished_at__isnull=False).order_by("-finished_at")


def _record(backup: Backup, severity: Severity, message: str, **data: datetime | None) -> None:
    record_event(
        kind=f"backup.{backup.status}",
        severity=severity,
        subject_id=backup.pk,
        database_id=backup.database_id or "",
        message=message,
        hint=backup.error_hint,
        data=data,
    )
