"""What exports show to Prometheus. No label names a user."""

from collections.abc import Iterator

from django.db.models import Count, Sum
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from exports.models import Export
from jobs.metrics import Family
from jobs.models import Status


class ExportsCollector(Collector):
    def collect(self) -> Iterator[Family]:
        labels = ["type", "status"]
        count = GaugeMetricFamily("backupsite_exports", "Exports of end users.", labels=labels)
        for row in Export.objects.values(*labels).annotate(count=Count("pk")).order_by(*labels):
            count.add_metric([row["type"], row["status"]], row["count"])
        yield count
        kept = Export.objects.filter(status=Status.COMPLETED).aggregate(size=Sum("size"))["size"]
        yield GaugeMetricFamily("backupsite_exports_bytes", "Stored bytes of exports that can be fetched.", kept or 0)
