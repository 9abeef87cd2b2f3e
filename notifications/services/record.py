"""Write an event into the outbox, inside the caller's transaction."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from notifications.kinds import KINDS
from notifications.models import Event, Severity

logger = logging.getLogger(__name__)


def record_event(
    *,
    kind: str,
    subject_id: str,
    message: str,
    severity: Severity | None = None,
    database_id: str = "",
    hint: str = "",
    data: Mapping[str, Any] | None = None,
) -> Event:
    """`kind` is a word of the catalogue, whose severity holds unless another is given.

    `data` are facts for programs and for the message: `since`, `last_good_at` and `last_proven_at` (times, or None for
    never) are shown in words. No secret may be in any of it.
    """
    logger.info("%s", message, extra={"event": kind, "database": database_id})
    return Event.objects.create(
        kind=kind,
        severity=severity or KINDS[kind].severity,
        subject_id=subject_id,
        database_id=database_id,
        message=message,
        hint=hint,
        data={name: _plain(value) for name, value in (data or {}).items()},
    )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
