"""The one gate before what needs a second person: without leave nothing dangerous is done, whoever calls."""

from django.conf import settings

from jobs.errors import BackupError
from notifications.services.record import record_event

HOST = "host"  # leave of whoever has a shell there: the way out when nobody else is left, and told of


def needs_second_person() -> bool:
    return bool(settings.BACKUPSITE_FOUR_EYES)


def require_consent(*, consent: str, what: str, subject_id: str, database_id: str = "") -> None:
    """`consent` is the id of an approval, or `HOST`; `what` is told, as the beginning of a sentence.

    Raises BackupError(code="needs_approval") where a second person has to agree and nobody has.
    """
    if not needs_second_person():
        return
    if not consent:
        raise BackupError(
            f"{what} needs a second person.",
            code="needs_approval",
            permanent=True,
            hint="Ask for it in the admin or over the API, and let somebody else approve it.",
        )
    if consent == HOST:
        record_event(
            kind="security.approval_bypassed",
            subject_id=subject_id,
            database_id=database_id,
            message=f"{what} was asked for by a command on the host, without a second person.",
        )
