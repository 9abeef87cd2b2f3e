"""Drill a backup: restore it into a scratch target, compare, ask, tear down. Whatever comes of it is reported."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from backups.models import Backup, Drill
from backups.selectors import drill_identities_for, last_proven_at, stored_places
from backups.services.assertions import evaluate
from backups.services.chain import chain_of
from backups.services.drill_report import Findings, NotProven, Phases, signed_report
from backups.services.quarantine import quarantine
from backups.services.request_drill import KEY_HINT
from backups.services.restore import readable
from backups.services.scratch import scratch_target
from backups.services.source import PlainSource, open_chain
from databases.engines.base import Engine, RestoreRequest
from jobs.errors import BackupError
from jobs.fields import unseal
from jobs.lease import Lease
from jobs.models import OPEN, Status
from notifications.models import Severity
from notifications.services.record import record_event


def has_room() -> bool:
    """A few at a time, so that the drills of a whole fleet leave the other places to backups."""
    return Drill.objects.filter(status=Status.IN_PROGRESS).count() < settings.BACKUPSITE_MAX_PARALLEL_DRILLS


def may_start(drill: Drill) -> bool:
    """One of a Database at a time, in the order they were asked for. Nothing else is excluded."""
    other = Drill.objects.filter(database=drill.database_id).exclude(pk=drill.pk)
    earlier = Q(status=Status.PENDING, created_at__lt=drill.created_at)
    return not other.filter(Q(status=Status.IN_PROGRESS) | earlier).exists()


def run_drill(drill: Drill, lease: Lease) -> dict[str, Any]:
    """One attempt. The report is written whether or not it proves anything; a backup that differs fails the drill."""
    backup = drill.backup
    if backup is None:
        raise BackupError("The backup was deleted.", code="vanished", permanent=True)
    findings = Findings(drill=drill, backup=backup, chain=chain_of(backup), phases=Phases())
    try:
        _prove(findings, lease)
    except BackupError as error:
        findings.error = error
        _write_report(findings, lease)
        raise
    _write_report(findings, lease)
    if fault := findings.fault:
        raise NotProven(fault)
    size = sum(part.original_size or 0 for part in findings.chain)
    return {"bytes_done": size, "bytes_total_estimate": size}


def _prove(findings: Findings, lease: Lease) -> None:
    drill, backup, phases = findings.drill, findings.backup, findings.phases
    identities = drill_identities_for(unseal(drill.identity))
    readable(backup=backup, identities=identities, hint=KEY_HINT)
    phases.enter("scratch", lease)
    try:
        with scratch_target(drill=drill, engine=backup.engine, lease=lease, torn=findings.note) as target:
            lease.log(f"made the scratch target {drill.scratch}")
            size = sum(part.original_size or 0 for part in findings.chain)
            phases.enter("restore", lease, moves_bytes=True, estimate=size)
            _restore(findings, target, identities, lease)
            phases.enter("compare", lease)
            findings.comparison = target.compare(backup.manifest.get("engine", {}), lease)
            _say_compared(findings, lease)
            if drill.assertions:
                phases.enter("assert", lease)
                findings.assertions = evaluate(drill.assertions, target=target, lease=lease)
                _say_asserted(findings, lease)
            phases.enter("tear_down", lease)
    finally:
        phases.end()


def _restore(findings: Findings, target: Engine, identities: tuple[str, ...], lease: Lease) -> None:
    lease.log(f"restoring {', '.join(part.pk for part in findings.chain)}")
    destination = findings.drill.destination
    with open_chain(chain=findings.chain, identities=identities, lease=lease, destination=destination) as sources:
        findings.read_from = [source.copy for source in sources]
        try:
            findings.restored = target.restore(sources, RestoreRequest(guard=lease, leave_out=stored_places()))
        finally:
            _put_aside(findings, sources)
    for note in findings.restored.notes:
        lease.log(note)


def _put_aside(findings: Findings, sources: Sequence[PlainSource]) -> None:
    """A copy that could not be read as it was stored: the next drill reads another one."""
    for part, source in zip(findings.chain, sources, strict=True):
        if source.fault is not None:
            quarantine(copy=source.copy, backup=part, error=source.fault)


def _say_compared(findings: Findings, lease: Lease) -> None:
    assert findings.comparison is not None
    checked = [f"{kind.replace('_', ' ')} {count}" for kind, count in findings.comparison.checked.items()]
    lease.log(f"compared {', '.join(checked) or 'nothing'}: {findings.comparison.total or 'no'} differences")
    for note in findings.comparison.notes:
        lease.log(note)


def _say_asserted(findings: Findings, lease: Lease) -> None:
    for one in findings.assertions:
        lease.log(f"assertion {one['name']!r}: {'holds' if one['ok'] else one['error'] or 'does not hold'}")


def _write_report(findings: Findings, lease: Lease) -> None:
    lease.write_log()  # its end is a part of the report
    report, signature = signed_report(findings)
    lease.own_rows.update(report=report, signature=signature)


def ended(drill: Drill) -> None:
    """In the transaction of the outcome: what it proved, and the events."""
    if drill.status in OPEN:
        return
    Drill.objects.filter(pk=drill.pk).update(identity=None)
    if drill.status == Status.COMPLETED:
        Backup.objects.filter(pk=drill.backup_id).update(proven_at=drill.finished_at or timezone.now())
    if drill.status == Status.CANCELLED:
        return
    done = drill.status == Status.COMPLETED
    told = "proved that it can be restored" if done else f"failed: {drill.error_message}"
    record_event(
        kind=f"drill.{drill.status}",
        severity=Severity.INFO if done else Severity.ERROR,
        subject_id=drill.pk,
        database_id=drill.database_id or "",
        message=f"The drill of {drill.backup_label} ({drill.database_name}) {told}",
        hint=drill.error_hint,
        data={} if done else {"last_proven_at": last_proven_at(drill.database_id)},
    )
