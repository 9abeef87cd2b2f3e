"""Reads about backups: where they are, whether they are being read, which key opens them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from backups.models import (
    Anomaly,
    Approval,
    Backup,
    Copy,
    CopyJob,
    DatabaseDestination,
    Destination,
    Drill,
    DrillPlan,
    Restore,
    Slot,
    Verification,
)
from backups.registry import readers
from databases.engines import registry
from databases.engines.base import StoredPlace
from databases.models import Database, Policy
from databases.schedule import next_runs, timezone_fault
from databases.selectors import site_policy
from jobs.errors import BackupError
from jobs.models import OPEN, Status


def databases_with_states() -> QuerySet[Database]:
    """Databases with their newest backups, and with what they need of the site's policy to be due; in one query."""
    newest = Backup.objects.filter(database=OuterRef("pk")).order_by("-created_at", "-pk")
    completed = newest.filter(status=Status.COMPLETED).order_by("-finished_at")
    proven = newest.filter(proven_at__isnull=False).order_by("-proven_at")
    due = Slot.objects.filter(database=OuterRef("pk")).order_by("-due_at")
    policy = Policy.objects.all()
    marked = Anomaly.objects.filter(database=OuterRef("pk"), ended_at=None).order_by("-found_at", "-pk")
    return Database.objects.annotate(
        last_backup_id=Subquery(newest.values("pk")[:1]),
        last_backup_status=Subquery(newest.values("status")[:1]),
        last_backup_finished_at=Subquery(newest.values("finished_at")[:1]),
        last_completed_at=Subquery(completed.values("finished_at")[:1]),
        last_good_started_at=Subquery(completed.values("started_at")[:1]),
        held_by=Subquery(marked.values("pk")[:1]),
        last_due_at=Subquery(due.values("due_at")[:1]),
        last_proven_at=Subquery(proven.values("proven_at")[:1]),
        site_schedule=Subquery(policy.values("schedule")[:1]),
        site_paused=Subquery(policy.values("paused")[:1]),
    ).prefetch_related("placements")


def last_proven_at(database_id: str | None) -> datetime | None:
    """When a drill last proved a backup of it; None when none ever did."""
    proven = Backup.objects.filter(database=database_id, proven_at__isnull=False)
    return proven.order_by("-proven_at").values_list("proven_at", flat=True).first() if database_id else None


def backups_with_copies() -> QuerySet[Backup]:
    """Backups with their copies, for lists: a constant number of queries, without the large columns."""
    return Backup.objects.defer("manifest").select_related("anomaly").prefetch_related("copies")


def stored_artefacts() -> QuerySet[Copy]:
    """The stored copy of every completed backup, the newest first; of several copies the first one."""
    first = Copy.objects.filter(backup=OuterRef("backup"), state=Copy.State.STORED).order_by("pk").values("pk")[:1]
    stored = Copy.objects.filter(pk=Subquery(first), backup__status=Status.COMPLETED)
    return stored.select_related("backup").defer("backup__manifest").order_by("-backup__finished_at", "-pk")


def readable_copies(backup: Backup, *, queue: str | None = None) -> list[Copy]:
    """Its stored copies, the nearest first: what is in order before what was found at fault, a disk before S3, and
    then as the Database names them. For a run of a `queue`, folders that only another host has come last."""
    named = DatabaseDestination.objects.filter(database=backup.database_id, destination=OuterRef("destination"))
    stored = backup.copies.filter(state=Copy.State.STORED).annotate(position=Subquery(named.values("position")[:1]))

    def distance(copy: Copy) -> tuple[bool, bool, bool, int, int]:
        there: Destination = copy.destination
        position: int | None = getattr(copy, "position")  # noqa: B009  # annotated
        elsewhere = queue is not None and there.queue not in ("", queue)
        unnamed = 1 << 16  # more than a Database can name
        order = unnamed if position is None else position
        return bool(there.fault), elsewhere, there.kind == Destination.Kind.S3, order, copy.pk

    return sorted(stored.select_related("destination"), key=distance)


def stored_copy(backup: Backup, *, destination: Destination | None = None) -> Copy:
    """The copy to read: the nearest one, or the one at `destination`. Raises BackupError(code="vanished")."""
    for copy in readable_copies(backup):
        if destination is None or copy.destination_id == destination.pk:
            return copy
    raise BackupError(
        f"{backup.pk} has no stored copy{f' at {destination.pk}' if destination else ' to read'}.",
        code="vanished",
        permanent=True,
        hint="The backup is not completed, or its artefact was deleted or quarantined.",
    )


def readers_of(backup: Backup) -> list[str]:
    """Ids of open runs that read this backup or what builds on it, or are about to; while there are any it is held
    against deletion, and so are its copies."""
    chain, deeper = [backup.pk], [backup.pk]
    while deeper:
        deeper = list(Backup.objects.filter(parent__in=deeper).exclude(pk__in=chain).values_list("pk", flat=True))
        chain += deeper
    runs = readers_by_backup(chain)
    return list(dict.fromkeys(run for pk in chain for run in runs.get(pk, ())))


def readers_by_backup(ids: Sequence[str]) -> dict[str, list[str]]:
    """What `readers_of` says of each that is read, in one query."""
    first, *rest = (source.filter(backup__in=ids).order_by() for source in _readings())
    found: dict[str, list[str]] = {}
    for backup_id, run in first.union(*rest):
        found.setdefault(backup_id, []).append(run)
    return found


def backups_being_read() -> set[str]:
    """Ids of all backups that `readers_of` holds against deletion, in a constant number of queries."""
    return {backup_id for source in _readings() for backup_id, _ in source if backup_id is not None}


def _readings() -> list[QuerySet[Any]]:
    own: list[QuerySet[Any]] = [model._default_manager.filter(status__in=OPEN) for model in (Restore, Verification)]
    # One that waits for a key may do so for ever: it is told what to read when the key comes.
    own.append(Drill.objects.filter(status__in=OPEN).exclude(status=Status.SCHEDULED, scheduled_at__isnull=True))
    # Copies that wait for a destination may do so for days: they hold nothing, and end with their backup.
    own.append(CopyJob.objects.filter(status=Status.IN_PROGRESS))
    return [*(runs.values_list("backup_id", "pk") for runs in own), *readers()]


def primary_destination(database: Database) -> Destination:
    """The first destination the Database names, else the default one. Raises BackupError(code="no_destination")."""
    placement = database.placements.select_related("destination").order_by("position").first()
    destination = placement.destination if placement else Destination.objects.filter(is_default=True).first()
    if destination is None:
        raise BackupError(
            f"Database {database.pk} has no destination and there is no default one.",
            code="no_destination",
            permanent=True,
            hint="Add a Destination and mark it as the default, or name one in the Database.",
        )
    return destination


def stored_places() -> tuple[StoredPlace, ...]:
    """Where artefacts lie in S3: an engine that reads buckets leaves these out."""
    rows = Destination.objects.filter(kind=Destination.Kind.S3).values_list("endpoint_url", "bucket", "prefix")
    return tuple(
        StoredPlace(endpoint, bucket, f"{path}/" if (path := prefix.strip("/")) else "")
        for endpoint, bucket, prefix in rows
    )


def recipients_of(database: Database) -> tuple[str, ...]:
    """age recipients a backup is encrypted to; none when it is not. Raises BackupError(code="missing_key")."""
    if database.encryption != "age":
        return ()
    recipients = tuple(database.encryption_recipients or settings.BACKUPSITE_AGE_RECIPIENTS)
    if not recipients:
        raise BackupError(
            f"Database {database.pk} is to be encrypted with age, but no recipient is known.",
            code="missing_key",
            permanent=True,
            hint="Name recipients in the Database, or give the site a key (BACKUPSITE_AGE_RECIPIENTS).",
        )
    return recipients


def identities_for(identity: Any) -> tuple[str, ...]:
    """The age secret keys a run may use: the one given with its request, else the site's own (there may be none)."""
    return (identity,) if identity else tuple(settings.BACKUPSITE_AGE_IDENTITIES)


def drill_identities_for(identity: Any) -> tuple[str, ...]:
    """As `identities_for`, and the keys that only drills may use."""
    return (identity,) if identity else (*identities_for(None), *settings.BACKUPSITE_DRILL_IDENTITIES)


def drills_due(plan: DrillPlan, *, after: datetime, count: int = 5) -> list[datetime]:
    """When its drills are due next, in UTC; none while the Database is disabled or schedules are paused."""
    database = plan.database
    if site_policy().paused or not database.enabled or timezone_fault(database.timezone):
        return []
    return next_runs(plan.schedule, database.timezone, after=after, count=count)


def collections_of(database: Database) -> tuple[str, ...]:
    """What a service hands out; none for a Database of another kind. Raises BackupError(code="unknown_engine")."""
    return registry.engine_class(database.engine).collections(database.options)


def only_collection(database: Database) -> str:
    """The collection that every backup of this Database is of; empty when it has none, or several."""
    names = collections_of(database)
    return names[0] if len(names) == 1 else ""


def database_named(reference: str) -> Database | None:
    """The Database with this id, else with this name. Raises BackupError(code="ambiguous_name")."""
    found = Database.objects.filter(pk=reference).first()
    if found is not None:
        return found
    named = list(Database.objects.filter(name=reference).order_by("pk"))
    if len(named) > 1:
        raise _ambiguous(reference, [database.pk for database in named])
    return named[0] if named else None


def newest_backup(reference: str, **states: str) -> Backup:
    """The newest backup of the Database with this id, else with this name; it may have been deleted meanwhile.

    `states` are further fields it must have (`status`, `collection`); an empty one asks for nothing. Raises
    Backup.DoesNotExist, and BackupError(code="ambiguous_name") when several Databases bear the name.
    """
    backups = Backup.objects.all()
    ids = {reference}
    if not (Database.objects.filter(pk=reference).exists() or backups.filter(database=reference).exists()):
        named = Database.objects.filter(name=reference).values_list("pk", flat=True)
        ids = {*named, *backups.filter(database_name=reference).values_list("database_id", flat=True).distinct()}
    if len(ids) > 1:
        raise _ambiguous(reference, sorted(map(str, ids)))
    found = backups.filter(database__in=ids, **{name: value for name, value in states.items() if value})
    newest = found.prefetch_related("copies").order_by("-created_at", "-pk").first()
    if newest is None:
        raise Backup.DoesNotExist
    return newest


def _ambiguous(name: str, ids: list[str]) -> BackupError:
    return BackupError(
        f"{len(ids)} Databases are named {name!r}.",
        code="ambiguous_name",
        permanent=True,
        hint=f"Use an id: {', '.join(ids[:5])}.",
    )


def approvals_waiting() -> int:
    """How many things wait for a second person."""
    return Approval.objects.filter(state=Approval.State.WAITING, expires_at__gt=timezone.now()).count()
