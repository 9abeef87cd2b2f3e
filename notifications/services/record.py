"""Write an event into the outbox, inside the caller's transaction."""

import logging

from notifications.models import Event, Severity

logger = logging.getLogger(__name__)


def record_event(
    *, kind: str, severity: Severity, subject_id: str, message: str, database_id: str = "", hint: str = ""
) -> Event:
    logger.info("%s", message, extra={"event": kind, "database": database_id})
    return Event.objects.create(
        kind=kind, severity=severity, subject_id=subject_id, database_id=database_id, message=message, hint=hint
    )
