"""Take a signed event once: whoever has seen it on its way gains nothing."""

from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction

from exports.models import SeenEvent
from jobs.errors import BackupError

SLACK = timedelta(minutes=1)  # clocks of several hosts


def remember_event(*, event_id: str, created_at: int, window_s: int) -> None:
    """Raises BackupError(code="nip98_replayed") for one that was taken before, by whichever process.

    The last check of all: an event that another check refuses is not used up.
    """
    ends_at = datetime.fromtimestamp(created_at, tz=UTC) + timedelta(seconds=window_s) + SLACK
    try:
        with transaction.atomic():
            SeenEvent(pk=event_id, ends_at=ends_at).save(force_insert=True)
    except IntegrityError as error:
        message = "This event has signed a request before: sign each one anew."
        raise BackupError(message, code="nip98_replayed", permanent=True) from error
