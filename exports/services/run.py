"""Run an export: sources -> zip -> destination -> read back. `completed` is the last write."""

from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from backups.models import Destination
from backups.pipeline.archive import PieceReader, zip_stream
from backups.pipeline.encode import Digests
from backups.pipeline.encoding import Encoding
from backups.services.stored_objects import store, undo
from exports.models import Export, ExportObject, ExportPolicy
from exports.selectors import enabled_sources, export_destination, export_policy, kept_bytes, last_completed
from exports.services.build_source import build_source
from exports.services.contents import Asked, Contents
from exports.services.events import record_export_event
from exports.services.links import make_link
from jobs.errors import BackupError
from jobs.lease import Lease
from jobs.models import Status

EXTENSION = ".zip"


def has_room() -> bool:
    """What users ask for leaves the other places to backups."""
    running = Export.objects.filter(status=Status.IN_PROGRESS).count()
    return running < int(settings.BACKUPSITE_MAX_PARALLEL_EXPORTS)


def may_start(export: Export) -> bool:
    """One at a time for each user, in the order they were asked for."""
    own = Export.objects.filter(pubkey=export.pubkey)
    earlier = own.filter(status=Status.PENDING, created_at__lt=export.created_at)
    return not (own.filter(status=Status.IN_PROGRESS).exists() or earlier.exists())


def run_export(export: Export, lease: Lease) -> dict[str, Any]:
    """One attempt; returns what `completed` sets. Whatever goes wrong, this attempt's object is removed."""
    lease.phase("gather")
    policy, made_at = export_policy(), timezone.now()
    if export.type == Export.Type.INCREMENTAL:  # not before: it may have waited for weeks, and others have completed
        export.parent = last_completed(export.pubkey)
        lease.own_rows.update(parent=export.parent)
    contents = Contents(
        export=export,
        asked=_asked(export),
        parent=export.parent,
        max_bytes=_room(policy, export),
        made_at=made_at,
        lease=lease,
    )
    row = _begin(export, export_destination(policy), made_at)
    try:
        digests = _store(export, contents, row, lease)
    except BaseException:
        undo(row)
        raise
    return {
        "size": digests.size,
        "original_size": contents.size,
        "file_count": contents.file_count,
        "sha256": digests.sha256,
        "manifest": contents.facts(),
        "expires_at": timezone.now() + timedelta(days=policy.link_days),
        "bytes_done": digests.original_size,
        "bytes_total_estimate": digests.original_size,
    }


def ended(export: Export) -> None:
    """The attempt's object follows its outcome, in the same transaction, and a completed one can be fetched."""
    own = export.objects_stored.filter(state=ExportObject.State.WRITING)
    if not export.pubkey:  # its user deleted it while it ran
        own.update(state=ExportObject.State.DELETING)
        Export.objects.filter(pk=export.pk, status=Status.COMPLETED).update(status=Status.DELETING)
        return
    if export.status == Status.COMPLETED:
        own.filter(attempt=export.attempt).update(state=ExportObject.State.STORED, upload_id="")
        make_link(export=export)
    own.update(state=ExportObject.State.DELETING)
    record_export_event(export)


def _asked(export: Export) -> list[Asked]:
    """Every enabled source that has something of what was selected. Raises BackupError(code="no_sources")."""
    found = []
    for row in enabled_sources():
        source = build_source(source=row)
        select = source.chosen(export.select)
        if select or not export.select:
            found.append(Asked(row.pk, row.name, source, select))
    if not found:
        raise BackupError(
            "No source has what was asked for any more.",
            code="no_sources",
            permanent=True,
            hint="Ask again: what there is may have changed.",
        )
    return found


def _room(policy: ExportPolicy, export: Export) -> int:
    """Bytes that this export may hold; 0 where there is no limit."""
    return max(1, policy.max_bytes - kept_bytes(export.pubkey)) if policy.max_bytes else 0


def _begin(export: Export, destination: Destination, at: datetime) -> ExportObject:
    """The place may have changed since the run began; once this row is there, it cannot."""
    extension = EXTENSION + (".age" if export.recipients else "")
    key = f"exports/{at:%Y}/{at:%m}/export_{at:%Y-%m-%d_%H-%M-%S}_{export.pk}-{export.attempt}{extension}"
    with transaction.atomic():
        there = Destination.objects.select_for_update().filter(pk=destination.pk).first()
        if there is None:
            raise BackupError(f"Destination {destination.pk} was deleted.", code="destination_deleted")
        return ExportObject.objects.create(export=export, destination=there, attempt=export.attempt, key=key)


def _store(export: Export, contents: Contents, row: ExportObject, lease: Lease) -> Digests:
    encoding = Encoding(compression="none", recipients=tuple(export.recipients))
    with closing(contents.entries()) as entries, closing(zip_stream(entries)) as pieces:
        return store(row=row, source=PieceReader(pieces), encoding=encoding, lease=lease)
