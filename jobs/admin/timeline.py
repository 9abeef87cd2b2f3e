"""The phases of a run as its page shows them: which are done, how long each took, which one is running."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.models import Job, PhaseTime, Status
from jobs.selectors import phase_times

Phases = Sequence[tuple[str, Any]]  # the name that a run reports, and its label

# What any run may go through beside the phases its kind plans.
OTHERS = {"pre_hook": _("Hook before"), "post_hook": _("Hook after"), "preflight": _("Prepare"), "finish": _("Finish")}
STOPPED = {
    Status.FAILED: "failed",
    Status.SCHEDULED: "failed",  # an attempt failed, the next one waits
    Status.CANCELLED: "stopped",
    Status.IN_PROGRESS: "now",
}
SHAPES = {
    "done": "check_circle",
    "now": "progress_activity",
    "failed": "error",
    "stopped": "block",
    "waits": "radio_button_unchecked",
}


@dataclass
class Step:
    """`state` is done, now, failed, stopped or waits. `seconds` is None where nobody noted them, `share` a
    percentage of all seconds."""

    label: Any
    state: str
    began_at: datetime | None = None
    seconds: float | None = None
    bytes_done: int = 0
    share: float = 0.0

    @property
    def shape(self) -> str:
        return SHAPES[self.state]

    @property
    def rate(self) -> int:
        """Bytes a second; 0 where that would say nothing."""
        return int(self.bytes_done / self.seconds) if self.seconds and self.seconds > 0.1 else 0


def timeline(job: Job, planned: Phases) -> list[Step]:
    """Those it went through, in their order, and while it may go on those still to come."""
    rows = phase_times(job)
    labels = {**OTHERS, **dict(planned)}
    if rows:
        steps = _noted(job, rows, labels)
        to_come = [name for name, _ in planned if name not in {row.name for row in rows}] if _goes_on(job) else []
    else:
        steps = _guessed(job, planned)
        to_come = []
    steps += [Step(labels[name], "waits") for name in to_come]
    total = sum(step.seconds or 0 for step in steps)
    for step in steps:
        step.share = round(100 * (step.seconds or 0) / total, 1) if total else 0.0
    return steps


def _goes_on(job: Job) -> bool:
    return job.status in (Status.IN_PROGRESS, Status.PENDING, Status.FAILED, Status.CANCELLED, Status.SCHEDULED)


def _noted(job: Job, rows: list[PhaseTime], labels: Mapping[str, Any]) -> list[Step]:
    """A phase that was entered twice (around a hook) is one line, where it was entered last."""
    found: dict[str, Step] = {}
    for row in rows:
        end = row.ended_at or (timezone.now() if job.status == Status.IN_PROGRESS else job.finished_at or row.began_at)
        earlier = found.pop(row.name, None)
        seconds = max(0.0, (end - row.began_at).total_seconds()) + (earlier.seconds or 0 if earlier else 0)
        done = row.bytes_done + (earlier.bytes_done if earlier else 0)
        found[row.name] = Step(labels.get(row.name, row.name), "done", row.began_at, round(seconds, 3), done)
    steps = list(found.values())
    steps[-1].state = STOPPED.get(Status(job.status), "done")
    return steps


def _guessed(job: Job, planned: Phases) -> list[Step]:
    """Of a run before any was noted: by the phase its row is in."""
    names = [name for name, _ in planned]
    if job.status in (Status.COMPLETED, Status.EXPIRED, Status.DELETING):
        reached = len(names)
    else:
        reached = names.index(job.phase) if job.phase in names else -1
    here = STOPPED.get(Status(job.status), "waits")
    states = ["done" if at < reached else here if at == reached else "waits" for at in range(len(names))]
    return [Step(label, state) for (_, label), state in zip(planned, states, strict=True)]
