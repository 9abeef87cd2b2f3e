"""Old slots are history that nothing reads: they go after a while, the newest of each Database stays."""

from datetime import timedelta

from django.db.models import Exists, OuterRef
from django.utils import timezone

from backups.models import Slot

KEPT = timedelta(days=400)
AT_ONCE = 1000


def forget_old_slots() -> int:
    """The sweeper's slow step; returns how many went. From the newest slot on it is known what is due."""
    newer = Slot.objects.filter(database=OuterRef("database"), due_at__gt=OuterRef("due_at"))
    old = Slot.objects.filter(Exists(newer), due_at__lt=timezone.now() - KEPT).order_by("pk")
    return Slot.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:AT_ONCE])).delete()[0]
