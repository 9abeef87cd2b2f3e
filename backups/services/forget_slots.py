"""Old slots are history that nothing reads: they go after a while, the newest of each Database stays."""

from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from backups.models import DrillSlot, Slot

KEPT = timedelta(days=400)
AT_ONCE = 1000


def forget_old_slots() -> int:
    """The sweeper's slow step; returns how many went. From the newest slot on it is known what is due."""
    return _forget(Slot.objects.all()) + _forget(DrillSlot.objects.all())


def _forget(slots: QuerySet[Any]) -> int:
    newer = slots.filter(database=OuterRef("database"), due_at__gt=OuterRef("due_at"))
    old = slots.filter(Exists(newer), due_at__lt=timezone.now() - KEPT).order_by("pk")
    return slots.filter(pk__in=list(old.values_list("pk", flat=True)[:AT_ONCE])).delete()[0]
