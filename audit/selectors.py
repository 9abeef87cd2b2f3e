"""Reads of the audit."""

from django.db.models import QuerySet

from audit.models import Entry


def recent_entries(*, limit: int = 10) -> QuerySet[Entry]:
    """The newest first."""
    return Entry.objects.order_by("-id")[:limit]
