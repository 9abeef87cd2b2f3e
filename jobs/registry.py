"""What the higher rooms hand to the life cycle: a runner per kind, hooks, and sweep steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.lease import Lease
from jobs.models import Job


def _always() -> bool:
    return True


@dataclass(frozen=True)
class JobKind:
    """One kind of job.

    `run(job, lease)` does the work of one attempt and returns the fields that `completed` sets; it raises
    `BackupError` for an expected failure. `may_start(job)` says, inside the claim's transaction, whether the job's
    turn has come. `ended(job)` is called inside the transaction that ended an attempt, whatever the outcome
    (`job.status` tells); it writes rows only. `has_room()` says, in the same transaction as `may_start` and before it,
    whether one more of this kind may run at all.
    """

    name: str
    model: type[Job]
    run: Callable[[Any, Lease], dict[str, Any]]
    may_start: Callable[[Any], bool]
    ended: Callable[[Any], None]
    has_room: Callable[[], bool] = _always


_kinds: dict[str, JobKind] = {}
_sweep_steps: dict[str, Callable[[], int]] = {}
_slow_steps: set[str] = set()


def register_kind(kind: JobKind) -> None:
    _kinds[kind.name] = kind


def register_sweep_step(name: str, step: Callable[[], int], *, slow: bool = False) -> None:
    """`step()` does one round, tolerates doing it twice or beside another process, and returns what it changed.

    A `slow` one talks to others who may not answer: it is given a thread of its own, so that nothing waits behind it.
    """
    _sweep_steps[name] = step
    if slow:
        _slow_steps.add(name)


def kind_of(name: str) -> JobKind:
    return _kinds[name]


def all_kinds() -> list[JobKind]:
    return list(_kinds.values())


def sweep_steps(*, slow: bool) -> dict[str, Callable[[], int]]:
    return {name: step for name, step in _sweep_steps.items() if (name in _slow_steps) is slow}
