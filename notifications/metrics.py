"""What notifications show to Prometheus."""

from collections.abc import Iterator

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from jobs.metrics import Family
from notifications.models import Channel, Delivery, Ping


class NotificationsCollector(Collector):
    def collect(self) -> Iterator[Family]:
        states = GaugeMetricFamily("backupsite_deliveries", "Messages that are kept, by state.", labels=["state"])
        found = Delivery.objects.order_by().values_list("state").annotate(count=Count("pk"))
        counts: dict[str, int] = dict(found)
        for state in Delivery.State.values:
            states.add_metric([state], counts.get(state, 0))
        yield states
        oldest = Delivery.objects.filter(state=Delivery.State.WAITING).aggregate(at=Min("created_at"))["at"]
        age = (timezone.now() - oldest).total_seconds() if oldest else 0.0
        help_text = "How long the oldest message that is not sent has waited."
        yield GaugeMetricFamily("backupsite_oldest_waiting_delivery_seconds", help_text, max(0.0, age))
        failing = GaugeMetricFamily(
            "backupsite_channel_failing", "1 while a channel or a ping takes no messages.", labels=["channel", "kind"]
        )
        for pk, kind, since in Channel.objects.values_list("pk", "kind", "failing_since"):
            failing.add_metric([pk, kind], since is not None)
        for pk, since in Ping.objects.values_list("pk", "failing_since"):
            failing.add_metric([pk, "ping"], since is not None)
        yield failing
