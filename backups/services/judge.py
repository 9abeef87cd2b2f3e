"""Judge a completed backup: mark one that is unlike those before it, in the transaction of its end."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from backups.anomalies import WINDOW, Finding, judge
from backups.anomaly_levels import Change, Key, Level, Measure, figures_of
from backups.anomaly_selectors import held_by
from backups.models import Anomaly, Backup
from databases.models import Database
from databases.selectors import sensitivity_of, site_policy
from jobs.management.command import figure
from jobs.models import LogLine, Status
from notifications.models import Severity
from notifications.services.record import record_event

GOOD = (Status.COMPLETED, Status.EXPIRED, Status.DELETING)  # retention may have taken its artefact since
MOST_FINDINGS = 20
MOST_NAMED = 3  # in a message
MOST_RIGHT = 20  # that somebody said are right, and that are older than the window
ENGINE = ("format", "selection", "counts", "state_objects", "deleted")
FIGURES = (
    "pk",
    "finished_at",
    "size",
    "original_size",
    "compression",
    *(f"manifest__engine__{name}" for name in ENGINE),
)

logger = logging.getLogger(__name__)


def judge_completed(backup: Backup) -> None:
    """Whatever goes wrong in here, the backup is completed all the same."""
    try:
        with transaction.atomic():
            if found := findings_of(backup):
                _mark(backup, found)
    except Exception:
        logger.exception("%s could not be compared with those before it", backup.pk)
        record_event(
            kind="anomaly.not_judged",
            subject_id=backup.pk,
            database_id=backup.database_id or "",
            message=f"The backup {backup.pk} of {backup.database_name} could not be compared with those before it.",
            hint="It is completed and not marked: look at its counts yourself. The log of the worker says what failed.",
        )


def findings_of(backup: Backup) -> list[Finding]:
    """What of it is unlike those of its kind: the same type, collection, selection and format, judged or not."""
    database = Database.objects.filter(pk=backup.database_id).first()
    sensitivity = sensitivity_of(database, site_policy()) if database else "off"
    if sensitivity == "off":
        return []
    part = backup.type == Backup.Type.INCREMENTAL
    figures, unknown = figures_of(
        size=backup.original_size, stored=backup.size, engine=backup.manifest.get("engine", {}), part=part
    )
    return judge(Level(figures, unknown), _history(backup, part), sensitivity=sensitivity, part=part)


def _history(backup: Backup, part: bool) -> list[Level]:
    """Those before it, and those that somebody said are right, whenever they were; the oldest first."""
    alike = Backup.objects.filter(
        database=backup.database_id,
        type=backup.type,
        collection=backup.collection,
        include=backup.include,
        exclude=backup.exclude,
        status__in=GOOD,
        finished_at__isnull=False,
    ).exclude(pk=backup.pk)
    right = alike.filter(anomaly__state=Anomaly.State.RIGHT).order_by("-finished_at")[:MOST_RIGHT]
    before = alike.filter(Q(anomaly=None) | Q(anomaly__state=Anomaly.State.RIGHT), finished_at__lt=backup.finished_at)
    rows = {row["pk"]: row for rows in (right, before.order_by("-finished_at")[:WINDOW]) for row in _read(rows)}
    said = _said_right(list(rows))
    engine = backup.manifest.get("engine", {})
    like = [row for row in rows.values() if all(_of(row, name) == engine.get(name) for name in ("format", "selection"))]
    return [_level(row, backup, part, said) for row in sorted(like, key=lambda row: (row["finished_at"], row["pk"]))]


def _read(rows: QuerySet[Backup]) -> list[dict[str, Any]]:
    """Out of the manifests only what is compared: they may be long."""
    return list(rows.values(*FIGURES))


def _of(row: Mapping[str, Any], name: str) -> Any:
    return row[f"manifest__engine__{name}"]


def _level(row: Mapping[str, Any], backup: Backup, part: bool, said: Mapping[str, Mapping[Key, Change]]) -> Level:
    stored = row["size"] if row["compression"] == backup.compression else None
    engine = {name: _of(row, name) for name in ENGINE}
    figures, unknown = figures_of(size=row["original_size"], stored=stored, engine=engine, part=part)
    return Level(figures, unknown, said.get(row["pk"], {}))


def _said_right(ids: list[str]) -> dict[str, dict[Key, Change]]:
    marks = Anomaly.objects.filter(pk__in=ids, state=Anomaly.State.RIGHT).values_list("pk", "findings")
    return {
        pk: {(Measure(one["measure"]), one["name"]): Change(one["change"]) for one in findings}
        for pk, findings in marks
    }


def _mark(backup: Backup, found: list[Finding]) -> None:
    """Told once for each Database until somebody has looked: what comes after it is marked in silence."""
    told = backup.database_id in held_by([backup.database_id])
    findings = [asdict(one) for one in found[:MOST_FINDINGS]]
    Anomaly.objects.create(backup=backup, database_id=backup.database_id, findings=findings)
    more = f", and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    words = f"{'; '.join(map(words_of, found[:MOST_NAMED]))}{more}"
    LogLine.objects.create(
        job_kind=Backup.kind,
        job_id=backup.pk,
        attempt=backup.attempt,
        message=f"unlike those before it: {words}; nothing of the Database is pruned until somebody has looked",
    )
    if not told:
        _tell(backup, words, findings)


def _tell(backup: Backup, words: str, findings: list[dict[str, Any]]) -> None:
    lost = any(one["change"] in (Change.EMPTIED, Change.GONE) for one in findings)
    record_event(
        kind="anomaly.found",
        severity=Severity.ERROR if lost else Severity.WARNING,
        subject_id=backup.pk,
        database_id=backup.database_id or "",
        message=f"The backup {backup.pk} of {backup.database_name} is unlike those before it: {words}.",
        hint="Look at it and say whether this is right or wrong. Until then nothing of this Database is pruned.",
        data={"findings": findings},
    )


def words_of(finding: Finding) -> str:
    """`public.orders has 12 rows...` without knowing what its engine calls them."""
    if finding.measure in (Measure.SIZE, Measure.STORED):
        low, high, found, before = map(figure, (finding.low, finding.high, finding.found, finding.previous))
    else:
        low, high, found, before = (f"{n:,}" for n in (finding.low, finding.high, finding.found, finding.previous))
    name = finding.name or NAMES[finding.measure]
    what = {Change.EMPTIED: f"{name} is empty", Change.GONE: f"{name} is gone"}.get(finding.change, f"{name} {found}")
    return f"{what} (usually {low} to {high}, before {before})"


NAMES = {
    Measure.SIZE: "plain size",
    Measure.STORED: "stored size",
    Measure.TOTAL: "counted in all",
    Measure.STATE: "objects in all",
    Measure.DELETED: "deleted",
}
