"""Which packages may go: a pure function."""

from collections.abc import Sequence
from datetime import datetime, timedelta


def past_limits(
    completed: Sequence[tuple[str, datetime]], *, retention_days: int, max_packages: int, now: datetime
) -> list[str]:
    """Ids of completed packages that are past a limit, of pairs of an id and when it was completed; 0 is off.

    The newest always stays.
    """
    newest_first = sorted(completed, key=lambda package: (package[1], package[0]), reverse=True)
    oldest = now - timedelta(days=retention_days) if retention_days else None
    return [
        pk
        for position, (pk, finished_at) in enumerate(newest_first)
        if position and ((max_packages and position >= max_packages) or (oldest and finished_at < oldest))
    ]
