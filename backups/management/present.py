"""Backups, restores and verifications as commands show them."""

from typing import Any

from backups.models import Backup, Destination
from backups.selectors import newest_backup
from databases.models import Database
from jobs.errors import BackupError
from jobs.management.command import figure
from jobs.models import Job, Status


def find_backup(reference: str) -> Backup:
    """By its id, else the newest completed full one of a Database with that id or name.

    Raises BackupError: unknown_backup, ambiguous_name.
    """
    found = Backup.objects.filter(pk=reference).first()
    if found is not None:
        return found
    try:
        return newest_backup(reference, status=Status.COMPLETED, type=Backup.Type.FULL)
    except Backup.DoesNotExist:
        raise BackupError(
            f"There is no backup {reference!r}, and no Database of that id or name with a completed full one.",
            code="unknown_backup",
            permanent=True,
            hint="`manage.py backups` lists them.",
        ) from None


def find_database(reference: str) -> Database:
    """By id, else by name. Raises BackupError: unknown_database, ambiguous_name."""
    by_id = Database.objects.filter(pk=reference).first()
    if by_id is not None:
        return by_id
    named = list(Database.objects.filter(name=reference)[:5])
    if len(named) == 1:
        return named[0]
    known = ", ".join(Database.objects.order_by("pk").values_list("pk", flat=True)[:10]) or "none yet"
    raise BackupError(
        f"{len(named) or 'No'} Database{'s are' if named else ' is'} named {reference!r}.",
        code="ambiguous_name" if named else "unknown_database",
        permanent=True,
        hint=f"Use an id: {', '.join(database.pk for database in named) if named else known}.",
    )


def find_destination(pk: str) -> Destination:
    """Raises BackupError(code="unknown_destination")."""
    found = Destination.objects.filter(pk=pk).first()
    if found is None:
        known = ", ".join(Destination.objects.order_by("pk").values_list("pk", flat=True)[:10]) or "none yet"
        raise BackupError(
            f"No Destination has the id {pk!r}.", code="unknown_destination", permanent=True, hint=f"There is: {known}."
        )
    return found


def document(job: Job, **more: Any) -> dict[str, Any]:
    """A job for scripts."""
    error = {"code": job.error_code, "message": job.error_message, "hint": job.error_hint} if job.error_code else None
    return {
        "id": job.pk,
        "kind": job.kind,
        "status": job.status,
        "attempt": job.attempt,
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
        "duration_s": job.duration_s,
        **more,
        "error": error,
    }


def backup_document(backup: Backup) -> dict[str, Any]:
    return document(
        backup,
        database_id=backup.database_id,
        database_name=backup.database_name,
        engine=backup.engine,
        type=backup.type,
        label=backup.label,
        size=backup.size,
        original_size=backup.original_size,
        sha256=backup.sha256,
        compression=backup.compression,
        encryption=backup.encryption,
    )


def outcome(job: Job) -> str:
    """One line for eyes."""
    seconds = f" in {job.duration_s:.1f} s" if job.duration_s is not None else ""
    size = f", {figure(job.size)} stored of {figure(job.original_size)}" if isinstance(job, Backup) and job.size else ""
    return f"{job.pk} {job.get_status_display()}{seconds}{size}"


def _time(value: Any) -> str | None:
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
