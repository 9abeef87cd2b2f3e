"""Apply the limits of the policy: packages past them expire, and history is forgotten in its turn."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from backups.anomaly_selectors import databases_held
from databases.selectors import site_policy
from jobs.models import Status
from packages.models import Package, PackageCopy, PackageMember
from packages.retention import past_limits
from packages.selectors import package_policy


def retain_packages() -> int:
    """The sweeper's step. Returns how many expired or were forgotten; the objects go with the step after it."""
    now = timezone.now()
    return _expire(now) + _forget_history(now)


def _expire(now: datetime) -> int:
    policy = package_policy()
    if not (policy.retention_days or policy.max_packages):
        return 0
    completed = Package.objects.filter(status=Status.COMPLETED)
    gone = past_limits(
        [(pk, at) for pk, at in completed.values_list("pk", "finished_at") if at is not None],
        retention_days=policy.retention_days,
        max_packages=policy.max_packages,
        now=now,
    )
    with transaction.atomic():
        held = PackageMember.objects.filter(database_id__in=databases_held().values("pk"), missing="")
        expired = Package.objects.filter(pk__in=gone, status=Status.COMPLETED).exclude(pk__in=held.values("package"))
        ids = list(expired.select_for_update().values_list("pk", flat=True))
        PackageCopy.objects.filter(package__in=ids).update(state=PackageCopy.State.DELETING)
        return Package.objects.filter(pk__in=ids).update(status=Status.EXPIRED, expires_at=now)


def _forget_history(now: datetime) -> int:
    """Failed, cancelled and expired rows have an age of their own. They are removed as any package is."""
    days = site_policy().failed_days
    if not days:
        return 0
    oldest = now - timedelta(days=days)
    ended = Q(status__in=[Status.FAILED, Status.CANCELLED], finished_at__lt=oldest)
    expired = Q(status=Status.EXPIRED, expires_at__lt=oldest)
    return Package.objects.filter(ended | expired, copies__isnull=True).update(status=Status.DELETING)
