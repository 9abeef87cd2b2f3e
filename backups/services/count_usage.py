"""Count what lies at each destination, so that growth is known and nobody who looks at a page waits for the sum."""

from datetime import timedelta

from django.db.models import Count, Max, Q, Sum
from django.utils import timezone

from backups.models import Copy, Destination, Usage
from backups.registry import others_stored

EVERY = timedelta(minutes=1)
KEPT = timedelta(days=400)


def count_usage() -> int:
    """The sweeper's slow step, once a minute; returns how many destinations were counted."""
    now = timezone.now()
    newest = Usage.objects.aggregate(at=Max("counted_at"))["at"]
    if newest is not None and newest > now - EVERY and Destination.objects.filter(usage__day=now.date()).exists():
        return 0
    stored = Q(copies__state=Copy.State.STORED)
    counted = Destination.objects.annotate(
        stored_bytes=Sum("copies__backup__size", filter=stored), stored_copies=Count("copies", filter=stored)
    )
    others = others_stored()
    rows = [
        Usage(
            destination_id=pk,
            day=now.date(),
            stored_bytes=(size or 0) + others[pk, "bytes"],
            copies=copies + others[pk, "objects"],
            counted_at=now,
        )
        for pk, size, copies in counted.values_list("pk", "stored_bytes", "stored_copies").order_by("pk")
    ]
    Usage.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["destination", "day"],
        update_fields=["stored_bytes", "copies", "counted_at"],
    )
    Usage.objects.filter(day__lt=now.date() - KEPT).delete()
    return len(rows)
