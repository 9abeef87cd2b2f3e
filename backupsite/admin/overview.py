"""The figures of the first page."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.http import HttpRequest
from django.utils import timezone

from backups.models import Backup, Copy, Destination
from backups.selectors import backups_with_copies
from backups.services.recovery_kit import kit_is_taken
from databases.models import Database
from jobs.errors import BackupError
from jobs.models import Status
from jobs.roles import Role, role_of


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the first page shows, in a constant number of queries."""
    week = timezone.now() - timedelta(days=7)
    figures = Backup.objects.aggregate(
        completed=Count("pk", filter=Q(status=Status.COMPLETED)),
        failed=Count("pk", filter=Q(status=Status.FAILED, created_at__gte=week)),
    )
    stored = Copy.objects.filter(state=Copy.State.STORED).aggregate(total=Sum("backup__size"))["total"]
    default = Destination.objects.filter(is_default=True).first()
    context["title"] = "Overview"
    context["overview"] = {
        **figures,
        "stored": stored or 0,
        "databases": Database.objects.count(),
        "registered": Database.objects.filter(built_in=False).count(),
        "destinations": Destination.objects.count(),
        "default_destination": default.name if default else "",
        "latest": backups_with_copies()[:10],
        "kit_wanted": role_of(request.user) >= Role.ADMIN and not _kit_is_taken(),
    }
    return context


def _kit_is_taken() -> bool:
    try:
        return kit_is_taken()
    except BackupError:
        return False  # a secret does not open: taking the kit says which
