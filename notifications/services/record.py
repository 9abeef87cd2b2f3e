"""Write an event into the outbox, inside the caller's transaction."""

from notifications.models import Event, Severity


def record_event(
    *, kind: str, severity: Severity, subject_id: str, message: str, database_id: str = "", hint: str = ""
) -> Event:
    return Event.objects.create(
        kind=kind, severity=severity, subject_id=subject_id, database_id=database_id, message=message, hint=hint
    )
