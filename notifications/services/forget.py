"""Events and messages that have had their time are removed."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from notifications.models import Delivery, Event, Mute

AT_ONCE = 1000


def forget_old() -> int:
    """The sweeper's step: removes a slice, and returns how many rows it was. What still waits to be sent stays."""
    before = timezone.now() - timedelta(days=settings.BACKUPSITE_KEEP_EVENTS_DAYS)
    deliveries = Delivery.objects.filter(created_at__lt=before).exclude(state=Delivery.State.WAITING)
    removed = Delivery.objects.filter(pk__in=list(deliveries.values_list("pk", flat=True)[:AT_ONCE])).delete()[1]
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING, events__created_at__lt=before).values("events")
    events = Event.objects.filter(created_at__lt=before, routed_at__isnull=False).exclude(pk__in=waiting)
    gone = Event.objects.filter(pk__in=list(events.order_by("created_at").values_list("pk", flat=True)[:AT_ONCE]))
    ended = Mute.objects.filter(until__lt=before).delete()[0]
    return removed.get("notifications.Delivery", 0) + gone.delete()[1].get("notifications.Event", 0) + ended
