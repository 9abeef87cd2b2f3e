"""Which copies may go while their backup stays: a pure function."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class CopyFact:
    """One copy. `sound` is stored and not quarantined; `retention_days` is what its place says, None for no limit.

    `held` is locked by somebody, or kept by the store itself until a time that is still to come.
    """

    id: int
    sound: bool
    retention_days: int | None
    position: int
    held: bool


def copies_to_go(copies: Sequence[CopyFact], *, finished_at: datetime, now: datetime) -> list[int]:
    """Ids of the copies whose days are over. One sound copy is always left: the one with most days, then the first.

    What is not sound is left to an operator.
    """
    passed = [
        copy
        for copy in copies
        if copy.sound
        and not copy.held
        and copy.retention_days is not None
        and finished_at + timedelta(days=copy.retention_days) <= now
    ]
    if len(passed) == sum(copy.sound for copy in copies) and passed:
        passed.remove(max(passed, key=lambda copy: (copy.retention_days or 0, -copy.position)))
    return [copy.id for copy in passed]
