"""Events of exports, written into the outbox in the transaction of the outcome. They name no user."""

from exports.models import Export
from jobs.management.command import figure
from jobs.models import Status
from notifications.models import Severity
from notifications.services.record import record_event


def record_export_event(export: Export) -> None:
    """Says nothing of an attempt that will be tried again."""
    if export.status == Status.COMPLETED:
        message, severity = f"{export.pk} was made: {figure(export.size or 0)} stored.", Severity.INFO
    elif export.status == Status.FAILED:
        message, severity = f"{export.pk} failed: {_nameless(export, export.error_message)}", Severity.WARNING
    elif export.status == Status.CANCELLED:
        message, severity = f"{export.pk} was cancelled.", Severity.INFO
    else:
        return
    record_event(
        kind=f"export.{export.status}",
        severity=severity,
        subject_id=export.pk,
        database_id="",
        message=message,
        hint=_nameless(export, export.error_hint),
    )


def _nameless(export: Export, text: str) -> str:
    """The address that a source was asked at may hold the key."""
    return text.replace(export.pubkey, "{pubkey}")
