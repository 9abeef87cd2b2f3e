"""What copies show to Prometheus."""

from collections.abc import Iterator

from django.db.models import Count, Min, Sum
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from backups.models import CopyJob, DatabaseDestination
from jobs.metrics import Family, counter
from jobs.models import OPEN


class CopiesCollector(Collector):
    """Reads the rows at every scrape: a constant number of queries, whatever there is."""

    def collect(self) -> Iterator[Family]:
        lacking = GaugeMetricFamily(
            "backupsite_copies_lacking", "Copies that Databases name and that are not there.", labels=["destination"]
        )
        lag = GaugeMetricFamily(
            "backupsite_copy_lag_seconds",
            "How long the copy that has been waited for longest was lacking; 0 when none is.",
            labels=["destination"],
        )
        now = timezone.now()
        places = DatabaseDestination.objects.order_by("destination").values("destination")
        for place in places.annotate(count=Sum("lacking"), since=Min("lacking_since")):
            lacking.add_metric([place["destination"]], place["count"])
            waited = max((now - place["since"]).total_seconds(), 0) if place["since"] else 0
            lag.add_metric([place["destination"]], waited)
        yield lacking
        yield lag
        jobs = GaugeMetricFamily("backupsite_copy_jobs", "Copies that wait or run.", labels=["destination", "status"])
        waiting = CopyJob.objects.filter(status__in=OPEN).order_by("destination_label", "status")
        for row in waiting.values("destination_label", "status").annotate(count=Count("pk")):
            jobs.add_metric([row["destination_label"], row["status"]], row["count"])
        yield jobs
        yield counter("backupsite_copied_bytes", "Bytes that copies have stored.", ["destination"])
