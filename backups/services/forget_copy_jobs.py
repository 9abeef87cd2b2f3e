"""Ended copy jobs go at the age of failures: that a copy was made is told by the copy itself."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from backups.models import CopyJob
from databases.selectors import site_policy
from jobs.models import OPEN
from jobs.services.forget import forget_traces

AT_ONCE = 1000


def forget_copy_jobs() -> int:
    """The sweeper's slow step; returns how many went, with their logs."""
    days = site_policy().failed_days
    if not days:
        return 0
    ended = CopyJob.objects.exclude(status__in=OPEN).filter(finished_at__lt=timezone.now() - timedelta(days=days))
    ids = list(ended.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    with transaction.atomic():
        forget_traces(kind=CopyJob.kind, ids=ids)
        CopyJob.objects.filter(pk__in=ids).delete()
    return len(ids)
