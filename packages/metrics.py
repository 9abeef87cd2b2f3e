"""What packages show to Prometheus."""

from collections.abc import Iterator

from django.db.models import Count, Sum
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from jobs.metrics import Family
from packages.models import Package


class PackagesCollector(Collector):
    def collect(self) -> Iterator[Family]:
        count = GaugeMetricFamily("backupsite_packages", "Packages by status.", labels=["status"])
        size = GaugeMetricFamily("backupsite_packages_bytes", "Stored bytes of packages by status.", labels=["status"])
        for row in Package.objects.values("status").annotate(count=Count("pk"), size=Sum("size")).order_by("status"):
            count.add_metric([row["status"]], row["count"])
            size.add_metric([row["status"]], row["size"] or 0)
        yield count
        yield size
