"""What backups show to Prometheus. Labels are ids of Databases and Destinations, engines and states; no free text."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db.models import Count, OuterRef, Q, Subquery, Sum
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from backups.anomaly_selectors import databases_held
from backups.models import Backup, Copy, Destination, Drill, DrillOverdue, Overdue, Slot
from backups.selectors import databases_with_states
from backups.services.verify_due import readable
from databases.models import Database
from jobs.metrics import Family, counter, histogram
from jobs.services.tally import BYTES, SECONDS

MOST_DATABASES = 5000  # beyond them only the totals are shown: a label for each would drown the server
MISSED = Q(outcome=Slot.Outcome.SKIPPED, reason__startswith="missed")


class BackupsCollector(Collector):
    """Reads the rows at every scrape: a constant number of queries, whatever there is."""

    def collect(self) -> Iterator[Family]:
        yield _counted("backupsite_backups", "Backups.", Backup.objects.all(), ["engine", "status", "trigger"])
        yield _counted("backupsite_drills", "Drills.", Drill.objects.all(), ["status", "trigger"])
        if Database.objects.count() <= MOST_DATABASES:
            yield from _databases()
        yield from _destinations()
        yield _slots()
        help_text = "Seconds that ended backups took."
        yield histogram("backupsite_backup_duration_seconds", help_text, ["engine", "status"], SECONDS)
        yield histogram("backupsite_backup_size_bytes", "Stored bytes of completed backups.", ["engine"], BYTES)
        yield counter("backupsite_backup_original_bytes", "Plain bytes of completed backups.", ["engine"])
        yield counter("backupsite_verifications", "Verifications that have ended.", ["trigger", "outcome"])
        yield counter("backupsite_retention_deletions", "Backups that retention removed.", ["engine"])


def _counted(name: str, help_text: str, rows: Any, labels: Sequence[str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for row in rows.values(*labels).annotate(count=Count("pk")).order_by(*labels):
        family.add_metric([str(row[label]) for label in labels], row["count"])
    return family


def _databases() -> Iterator[Family]:
    info = GaugeMetricFamily(
        "backupsite_database_info", "One for each Database.", labels=["database", "engine", "enabled", "scheduled"]
    )
    times = {
        "last_good_started_at": ("last_success", "Start of the newest completed backup: what is safe is as old."),
        "last_completed_at": ("last_completed", "End of the newest completed backup."),
        "last_proven_at": ("last_proven", "When a backup was last proven by restoring it."),
        "last_due_at": ("last_due", "The newest due time of its schedule."),
    }
    families = {
        field: GaugeMetricFamily(f"backupsite_database_{name}_timestamp_seconds", help_text, labels=["database"])
        for field, (name, help_text) in times.items()
    }
    for database in databases_with_states().order_by("pk"):
        scheduled = database.schedule is not None
        info.add_metric([database.pk, database.engine, _word(database.enabled), _word(scheduled)], 1)
        for field, family in families.items():
            if at := getattr(database, field):
                family.add_metric([database.pk], at.timestamp())
    yield info
    yield from families.values()
    overdue = GaugeMetricFamily(
        "backupsite_database_overdue",
        "1 for each Database that was due and has no good backup since.",
        labels=["database"],
    )
    for pk in Overdue.objects.order_by("database").values_list("database", flat=True):
        overdue.add_metric([pk], 1)
    yield overdue
    unproven = GaugeMetricFamily(
        "backupsite_database_drill_overdue",
        "1 for each Database that had no backup proven by a drill in time.",
        labels=["database"],
    )
    for pk in DrillOverdue.objects.order_by("database").values_list("database", flat=True):
        unproven.add_metric([pk], 1)
    yield unproven
    held = GaugeMetricFamily(
        "backupsite_database_anomaly",
        "1 for each Database of which nothing is pruned until somebody has looked at an unusual backup.",
        labels=["database"],
    )
    for pk in databases_held().order_by("pk").values_list("pk", flat=True):
        held.add_metric([pk], 1)
    yield held
    rows = Backup.objects.filter(database__in=Database.objects.values("pk"))
    states = GaugeMetricFamily("backupsite_database_backups", "Backups of a Database.", labels=["database", "status"])
    for row in rows.values("database_id", "status").annotate(count=Count("pk")).order_by("database_id", "status"):
        states.add_metric([row["database_id"], row["status"]], row["count"])
    yield states


def _destinations() -> Iterator[Family]:
    used = GaugeMetricFamily(
        "backupsite_destination_used_bytes", "Stored bytes of its copies.", labels=["destination", "kind"]
    )
    copies = GaugeMetricFamily("backupsite_destination_copies", "Its copies by state.", labels=["destination", "state"])
    up = GaugeMetricFamily(
        "backupsite_destination_up",
        "1 when the last look found it in order, 0 when not.",
        labels=["destination", "kind"],
    )
    stored = Sum("copies__backup__size", filter=Q(copies__state=Copy.State.STORED))
    for destination in Destination.objects.annotate(used=stored).order_by("pk"):
        used.add_metric([destination.pk, destination.kind], destination.used or 0)
        if destination.looked_at is not None:
            up.add_metric([destination.pk, destination.kind], 0 if destination.fault else 1)
    for row in (
        Copy.objects.values("destination_id", "state").annotate(count=Count("pk")).order_by("destination_id", "state")
    ):
        copies.add_metric([row["destination_id"], row["state"]], row["count"])
    yield used
    yield copies
    yield up
    yield _unread()


def _unread() -> GaugeMetricFamily:
    """Of copies whose credentials only write nothing is shown: they are never read."""
    unread = GaugeMetricFamily(
        "backupsite_destination_unread_since_timestamp_seconds",
        "When its longest unread copy was last read to its end.",
        labels=["destination"],
    )
    oldest = readable().filter(destination=OuterRef("pk"), verified_at__isnull=False).order_by("verified_at")
    rows = Destination.objects.annotate(oldest=Subquery(oldest.values("verified_at")[:1])).order_by("pk")
    for pk, at in rows.values_list("pk", "oldest"):
        if at is not None:
            unread.add_metric([pk], at.timestamp())
    return unread


def _slots() -> GaugeMetricFamily:
    slots = GaugeMetricFamily("backupsite_schedule_slots", "Due times by what came of them.", labels=["outcome"])
    for row in Slot.objects.exclude(MISSED).values("outcome").annotate(count=Count("pk")).order_by("outcome"):
        slots.add_metric([row["outcome"]], row["count"])
    slots.add_metric(["missed"], Slot.objects.filter(MISSED).count())
    return slots


def _word(yes: bool) -> str:
    return "true" if yes else "false"
