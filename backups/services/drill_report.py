"""The report of a drill: what was drilled, what was expected and found, how long it took (docs/drills.md)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from backups.models import Backup, Copy, Drill
from backups.services.scratch import scratch_name
from backups.services.sign_report import key_id, sign, storable
from databases.engines.base import RestoreReport
from databases.engines.proof import MAX_DIFFERENCES, Comparison, Difference
from jobs.errors import BackupError
from jobs.lease import Lease
from jobs.models import LogLine

SCHEMA_VERSION = 1
LOG_TAIL = 50  # lines
LONGEST_VALUE = 1000  # characters of what was expected or found


class NotProven(BackupError):
    """The drill ran to its end, and what it restored is not what was backed up."""

    def __init__(self, fault: str) -> None:
        hint = "Its report lists what differs. Drill another backup, and look at how this one was made."
        super().__init__(fault, code="not_proven", permanent=True, hint=hint)


class Phases:
    """Seconds of each phase, in their order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._name = ""
        self._since = time.monotonic()

    def enter(self, name: str, lease: Lease, *, moves_bytes: bool = False, estimate: int | None = None) -> None:
        self.end()
        lease.phase(name, moves_bytes=moves_bytes, estimate=estimate)
        self._name, self._since = name, time.monotonic()

    def end(self) -> None:
        if self._name:
            self.seconds[self._name] = round(time.monotonic() - self._since, 3)
        self._name = ""

    def until(self, last: str) -> float:
        """From the begin to the end of a phase; a drill that did not come so far: to where it came."""
        names = list(self.seconds)
        names = names[: names.index(last) + 1] if last in names else names
        return round(sum(self.seconds[name] for name in names), 3)


@dataclass
class Findings:
    """What a running drill has learned so far."""

    drill: Drill
    backup: Backup
    chain: Sequence[Backup]
    phases: Phases
    read_from: Sequence[Copy] = ()
    restored: RestoreReport | None = None
    comparison: Comparison | None = None
    assertions: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: BackupError | None = None

    def note(self, text: str) -> None:
        self.notes.append(text)

    @property
    def fault(self) -> str:
        """The first thing that is not as it should be, in a sentence; empty when all agrees."""
        if self.comparison and self.comparison.total:
            first = told(self.comparison.differences[0]) if self.comparison.differences else ""
            total = self.comparison.total
            return f"{self.backup.pk} differs in {total} {'place' if total == 1 else 'places'}: {first}"
        failed = [one for one in self.assertions if not one["ok"]]
        if not failed:
            return ""
        one = failed[0]
        why = one["error"] or f"{_short(one['found'])} is not {one['operator']} {_short(one['value'])}."
        return f"{len(failed)} of {len(self.assertions)} assertions do not hold: {one['name']}: {why}"

    @property
    def verdict(self) -> str:
        if self.error is not None:
            return "failed"
        return "not_proven" if self.fault else "proven"


def told(difference: Difference) -> str:
    expected, found = ("missing" if at is None else _short(at) for at in (difference.expected, difference.found))
    kind = difference.kind.replace("_", " ")
    return f"{kind} of {difference.name}: expected {expected}, found {found}."


def signed_report(findings: Findings) -> tuple[dict[str, Any], str]:
    report = storable(_report(findings))
    return report, sign(report)


def _report(findings: Findings) -> dict[str, Any]:
    drill, backup, phases = findings.drill, findings.backup, findings.phases
    began = drill.started_at or timezone.now()
    manifest = backup.manifest.get("engine", {})
    return {
        "schema_version": SCHEMA_VERSION,
        "site": settings.BACKUPSITE_PUBLIC_URL,
        "signed_by": key_id(),
        "drill": {
            "id": drill.pk,
            "trigger": drill.trigger,
            "attempt": drill.attempt,
            "started_at": _time(began),
            "reported_at": _time(timezone.now()),
            "worker": drill.worker,
        },
        "verdict": findings.verdict,
        "fault": findings.fault,
        "error": _error(findings.error),
        "database": {"id": drill.database_id, "name": drill.database_name, "engine": backup.engine},
        "backup": _backup(backup, began),
        "chain": [part.pk for part in findings.chain],
        "read_from": [{"destination": copy.destination_id, "key": copy.key} for copy in findings.read_from],
        "seconds": dict(phases.seconds),
        "recovery_time_s": phases.until("restore"),
        "total_s": phases.until("tear_down"),
        "bytes": {
            "stored": sum(part.size or 0 for part in findings.chain),
            "plain": sum(part.original_size or 0 for part in findings.chain),
        },
        "versions": {
            "backup_server": manifest.get("server_version", ""),
            "backup_tool": manifest.get("tool_version", ""),
            "scratch_server": findings.comparison.server_version if findings.comparison else "",
            "restore_tool": findings.restored.tool_version if findings.restored else "",
        },
        "scratch": {"name": scratch_name(drill), "server": drill.server_id},
        "restored": dict(findings.restored.counts) if findings.restored else None,
        "comparison": _comparison(findings.comparison),
        "assertions": findings.assertions,
        "notes": [*(findings.restored.notes if findings.restored else ()), *findings.notes],
        "log": _log(drill),
    }


def _backup(backup: Backup, began: datetime) -> dict[str, Any]:
    """`age_s`, from the backup's begin to the drill's, is the recovery point that a loss then would have had."""
    since = backup.started_at or backup.created_at
    return {
        "id": backup.pk,
        "type": backup.type,
        "label": backup.label,
        "started_at": _time(since),
        "finished_at": _time(backup.finished_at),
        "age_s": round((began - since).total_seconds(), 3),
        "sha256": backup.sha256,
    }


def _comparison(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    differences = [_difference(one) for one in comparison.differences[:MAX_DIFFERENCES]]
    return {
        "checked": dict(comparison.checked),
        "differences": differences,
        "difference_count": comparison.total,
        "first_difference": differences[0] if differences else None,
        "notes": list(comparison.notes),
    }


def _difference(one: Difference) -> dict[str, Any]:
    return {"kind": one.kind, "name": one.name, "expected": _bounded(one.expected), "found": _bounded(one.found)}


def _bounded(value: Any) -> Any:
    text = str(value)
    return f"{text[:LONGEST_VALUE]}…" if len(text) > LONGEST_VALUE else value


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:100]}…" if len(text) > 100 else text


def _error(error: BackupError | None) -> dict[str, str] | None:
    return None if error is None else {"code": error.code, "message": error.message, "hint": error.hint}


def _log(drill: Drill) -> list[str]:
    rows = LogLine.objects.filter(job_kind=Drill.kind, job_id=drill.pk, attempt=drill.attempt).order_by("-id")
    return [line.message for line in rows[:LOG_TAIL]][::-1]


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
