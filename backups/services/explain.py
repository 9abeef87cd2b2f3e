"""Explain retention: what is known of the backups of a Database, and what that means for each of them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from backups.anomaly_selectors import held_by
from backups.models import Backup, Copy
from backups.retention import Fact, Limits, Verdict, decide
from backups.selectors import backups_being_read
from databases.models import Database, Policy
from databases.selectors import retention_of
from jobs.models import OPEN, Status

CONCERNED = (*OPEN, Status.COMPLETED, Status.FAILED, Status.CANCELLED)


def limits_of(database: Database, policy: Policy, changes: Mapping[str, int | None] | None = None) -> Limits:
    """What applies; `changes` as the Database would have them: a null inherits."""
    changed = Database(**{name: getattr(database, name) for name in retention_of(database, policy)})
    for name, value in (changes or {}).items():
        setattr(changed, name, value)
    return Limits(**retention_of(changed, policy), failed_days=policy.failed_days)


def explain_retention(
    *,
    database: Database,
    limits: Limits,
    now: datetime,
    being_read: set[str] | None = None,
) -> list[Verdict]:
    """A verdict on each backup that has not expired already, newest first. Changes nothing.

    `being_read` is what `backups_being_read` says; a caller with many Databases asks once.
    """
    reading = backups_being_read() if being_read is None else being_read
    return decide(
        (replace(fact, read=True) if fact.id in reading else fact for fact in _facts(database)),
        limits=limits,
        timezone=database.timezone,
        now=now,
        held_by=held_by([database.pk]).get(database.pk, ""),
    )


def _facts(database: Database) -> list[Fact]:
    rows = Backup.objects.filter(database=database, status__in=CONCERNED).order_by()
    # Two plain reads: asked as one, SQLite goes through all stored copies of the site for each backup.
    copies = Copy.objects.filter(backup__database=database).order_by().values_list("backup_id", "state", "retain_until")
    sound, held = set[str](), dict[str, datetime]()
    for pk, state, until in copies:
        if state == Copy.State.STORED:
            sound.add(pk)
        if until:
            held[pk] = max(until, held.get(pk, until))
    return [
        Fact(
            id=pk,
            status=status,
            finished_at=finished_at if status not in OPEN else None,
            type=kind,
            collection=collection,
            parent=parent,
            locked=locked,
            sound=pk in sound,
            proven_at=proven_at,
            held_until=held.get(pk),
        )
        for pk, status, finished_at, kind, collection, parent, locked, proven_at in rows.values_list(
            "pk", "status", "finished_at", "type", "collection", "parent_id", "locked", "proven_at"
        )
    ]
