"""What the life cycle shows to Prometheus."""

import json
from collections.abc import Iterator, Sequence
from itertools import accumulate

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from jobs.models import OPEN, Process, Status, Tally
from jobs.registry import all_kinds
from jobs.selectors import max_parallel_jobs
from jobs.services.tally import SECONDS

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class JobsCollector(Collector):
    """Reads the rows at every scrape: right whatever processes and hosts there are."""

    def collect(self) -> Iterator[Family]:
        yield from _queue()
        yield from _processes()
        yield GaugeMetricFamily("backupsite_max_parallel_jobs", "Jobs that may run at once.", max_parallel_jobs())
        yield counter("backupsite_leases_lost", "Runs whose worker was lost.", ["kind"])
        help_text = "Seconds that ended runs took, by how they ended."
        yield histogram("backupsite_job_duration_seconds", help_text, ["kind", "status"], SECONDS)


def counter(name: str, help_text: str, labels: Sequence[str]) -> CounterMetricFamily:
    """Of the tallies with that name."""
    family = CounterMetricFamily(name, help_text, labels=labels)
    for found, value in _tallies(name):
        family.add_metric([found[label] for label in labels], value)
    return family


def histogram(name: str, help_text: str, labels: Sequence[str], bounds: Sequence[float]) -> HistogramMetricFamily:
    """Of the tallies that `observe` wrote under that name."""
    family = HistogramMetricFamily(name, help_text, labels=labels)
    counted: dict[tuple[str, ...], dict[str, float]] = {}
    for found, value in _tallies(f"{name}_bucket"):
        counted.setdefault(tuple(found[label] for label in labels), {})[found["le"]] = value
    sums = {tuple(found[label] for label in labels): value for found, value in _tallies(f"{name}_sum")}
    steps = [*(str(float(bound)) for bound in bounds), "+Inf"]
    for key, buckets in counted.items():
        totals = accumulate(buckets.get(step, 0) for step in steps)
        family.add_metric(
            list(key), [(step, total) for step, total in zip(steps, totals, strict=True)], sums.get(key, 0)
        )
    return family


def _tallies(name: str) -> Iterator[tuple[dict[str, str], float]]:
    for labels, value in Tally.objects.filter(name=name).order_by("labels").values_list("labels", "value"):
        yield json.loads(labels) if labels else {}, value


def _queue() -> Iterator[Family]:
    depth = GaugeMetricFamily("backupsite_jobs", "Jobs that are not ended.", labels=["kind", "status"])
    oldest = GaugeMetricFamily(
        "backupsite_oldest_pending_job_seconds", "How long the oldest pending job has waited.", labels=["kind"]
    )
    now = timezone.now()
    for kind in all_kinds():
        rows = kind.model._default_manager.filter(status__in=OPEN).values("status")
        found = rows.annotate(count=Count("pk")).order_by().values_list("status", "count")
        counts: dict[str, int] = dict(found)
        for status in (Status.SCHEDULED, Status.PENDING, Status.IN_PROGRESS):
            depth.add_metric([kind.name, status], counts.get(status, 0))
        waiting = kind.model._default_manager.filter(status=Status.PENDING).aggregate(oldest=Min("created_at"))
        since = waiting["oldest"] or now
        oldest.add_metric([kind.name], max(0.0, (now - since).total_seconds()))
    yield depth
    yield oldest


def _processes() -> Iterator[Family]:
    """The age of the last sign of life of each role, whichever of its processes gave it."""
    seen = GaugeMetricFamily("backupsite_process_age_seconds", "Since a process was last seen.", labels=["role"])
    now = timezone.now()
    newest: dict[str, float] = {}
    for role, seen_at in Process.objects.values_list("role", "seen_at"):
        age = (now - seen_at).total_seconds()
        newest[role] = min(age, newest.get(role, age))
    for role, age in sorted(newest.items()):
        seen.add_metric([role], max(0.0, age))
    yield seen
