"""Tell of destinations that have lacked copies for too long, and when they have them."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from backups.models import CopyJob, DatabaseDestination
from notifications.models import Severity
from notifications.services.record import record_event


def tell_behind(*, placements: QuerySet[DatabaseDestination], now: datetime) -> None:
    """Once each, whoever looks."""
    late = Q(lacking_since__lt=now - timedelta(seconds=settings.BACKUPSITE_COPY_BEHIND_S))
    shown = placements.select_related("database", "destination")
    for one in shown.filter(late, told_at__isnull=True):
        with transaction.atomic():
            if DatabaseDestination.objects.filter(pk=one.pk, told_at__isnull=True).update(told_at=now):
                _tell_behind(one)
    for one in shown.filter(Q(lacking_since__isnull=True) | ~late, told_at__isnull=False):
        with transaction.atomic():
            if DatabaseDestination.objects.filter(pk=one.pk, told_at=one.told_at).update(told_at=None):
                _tell_caught_up(one)


def _tell_behind(one: DatabaseDestination) -> None:
    record_event(
        kind="copy.behind",
        severity=Severity.WARNING,
        subject_id=one.destination_id,
        database_id=one.database_id,
        message=f"{one.destination.name} lacks copies of {one.lacking} backups of {one.database.name}, the first since "
        f"{one.lacking_since:%Y-%m-%d %H:%M} UTC.",
        hint=_hint(one),
    )


def _hint(one: DatabaseDestination) -> str:
    if one.destination.fault:
        return f"The destination is down ({one.destination.fault}). Copies are made when it is back."
    jobs = CopyJob.objects.filter(destination=one.destination_id, backup__database=one.database_id)
    last = jobs.exclude(error_message="").order_by("-created_at").first()
    if last is None:
        return "Its copies wait: is a worker alive, and does one listen to the queue of this destination?"
    return f"The last one said: {last.error_message} {last.error_hint}".strip()


def _tell_caught_up(one: DatabaseDestination) -> None:
    record_event(
        kind="copy.caught_up",
        severity=Severity.INFO,
        subject_id=one.destination_id,
        database_id=one.database_id,
        message=f"{one.destination.name} has the copies of {one.database.name} that it lacked.",
    )
