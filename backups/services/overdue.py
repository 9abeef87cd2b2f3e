"""Tell of Databases that were due and have no good backup since, whatever the cause, and when they have one again."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import DateTimeField, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from backups.models import Backup, Overdue, Slot
from backups.services.schedule import PAUSED
from databases.models import Database
from databases.selectors import site_policy
from jobs.models import Status
from jobs.slices import until
from notifications.models import Event, Severity
from notifications.services.record import record_event

AT_ONCE = 200  # looked at in one round
ROUND_S = 0.4  # told in one round for so long; the rest has its turn in the next ones


def tell_overdue() -> int:
    """The sweeper's step; returns how many events were recorded.

    Each due time is told of once, whoever looks. While a backup that began since then runs, nothing is said: limits
    of its own end it. While schedules are paused nothing is overdue.
    """
    deadline = time.monotonic() + ROUND_S
    told = sum(_tell_recovered(overdue) for overdue in until(deadline, _recovered()[:AT_ONCE]))
    if site_policy().paused:
        return told
    return told + sum(_tell_overdue(database) for database in until(deadline, _overdue()[:AT_ONCE]))


def _due_slots() -> QuerySet[Slot]:
    """The newest slot of a Database that should have led to a good backup by now.

    One whose start was put off (jitter, blackouts, another attempt) is measured from there.
    """
    limit = timezone.now() - timedelta(seconds=settings.BACKUPSITE_OVERDUE_S)
    began = Greatest(F("due_at"), Coalesce(F("backup__scheduled_at"), F("due_at")), output_field=DateTimeField())
    slots = Slot.objects.filter(database=OuterRef("pk"), due_at__lt=limit).exclude(reason=PAUSED)
    return slots.annotate(began=began).filter(began__lt=limit).order_by("-due_at")


def _good_since(due_at: Any) -> QuerySet[Backup]:
    """By its end: one that ran at the due time is what the due time was skipped for."""
    return Backup.objects.filter(database=OuterRef("pk"), status=Status.COMPLETED, finished_at__gte=due_at)


def _overdue() -> QuerySet[Database]:
    slots = _due_slots()
    running = Backup.objects.filter(database=OuterRef("pk"), status=Status.IN_PROGRESS)
    due = Database.objects.filter(enabled=True, schedule__isnull=False).annotate(
        overdue_at=Subquery(slots.values("due_at")[:1]), overdue_slot=Subquery(slots.values("pk")[:1])
    )
    untold = Q(overdue__isnull=True) | Q(overdue__due_at__lt=F("overdue_at"))
    return due.filter(
        untold,
        ~Exists(_good_since(OuterRef("overdue_at"))),
        ~Exists(running),
        overdue_at__gt=F("scheduled_since"),
    ).order_by("pk")


def _recovered() -> QuerySet[Overdue]:
    return Overdue.objects.filter(Exists(_good_since(OuterRef("due_at")))).select_related("database").order_by("pk")


def _tell_overdue(database: Database) -> int:
    pk: int = getattr(database, "overdue_slot")  # noqa: B009  # annotated
    slot = Slot.objects.select_related("backup").get(pk=pk)
    with transaction.atomic():
        rows = Overdue.objects.filter(pk=database.pk)
        if not rows.filter(due_at__lt=slot.due_at).update(due_at=slot.due_at):
            defaults = {"due_at": slot.due_at, "since": slot.due_at}
            if not Overdue.objects.get_or_create(pk=database.pk, defaults=defaults)[1]:
                return 0  # somebody else told it
        record_event(
            kind="backup.overdue",
            severity=Severity.ERROR,
            subject_id=slot.backup_id or database.pk,
            database_id=database.pk,
            message=f"{database.name} was due at {slot.due_at:%Y-%m-%d %H:%M} UTC and has no good backup since; "
            f"{_last_good(database)}.",
            hint=_hint(slot),
            data={"since": slot.due_at, "last_good_at": _last_good_at(database)},
        )
    return 1


def _last_good_at(database: Database) -> datetime | None:
    good = Backup.objects.filter(database=database, status=Status.COMPLETED, finished_at__isnull=False)
    return good.order_by("-finished_at").values_list("started_at", flat=True).first()


def _last_good(database: Database) -> str:
    last = _last_good_at(database)
    return f"the last good one began at {last:%Y-%m-%d %H:%M} UTC" if last else "it has never had one"


def _hint(slot: Slot) -> str:
    backup = slot.backup
    if backup is None:
        return f"This time was skipped: {slot.reason}." if slot.reason else "Its backup was deleted."
    if backup.is_open:
        return "Its backup still waits: is a worker alive, and does one listen to its queue?"
    return f"Its backup is {backup.get_status_display()}: {backup.error_message} {backup.error_hint}".strip()


def _tell_recovered(overdue: Overdue) -> int:
    with transaction.atomic():
        if not Overdue.objects.filter(pk=overdue.pk, due_at=overdue.due_at).delete()[0]:
            return 0  # somebody else told it
        told = Event.objects.filter(kind="backup.recovered", database_id=overdue.pk, created_at__gt=overdue.since)
        if told.exists():
            return 0  # the good backup itself, which ended a row of failures
        record_event(
            kind="backup.recovered",
            severity=Severity.INFO,
            subject_id=overdue.pk,
            database_id=overdue.pk,
            message=f"{overdue.database.name} has a good backup again; it was overdue since "
            f"{overdue.since:%Y-%m-%d %H:%M} UTC.",
            data={"since": overdue.since},
        )
    return 1
