"""Remove what jobs have written beside their rows, when the rows go."""

from collections.abc import Sequence

from jobs.models import LogLine, PhaseTime


def forget_traces(*, kind: str, ids: Sequence[str]) -> None:
    """The logs and phase times of jobs of one kind."""
    for model in (LogLine, PhaseTime):
        model._default_manager.filter(job_kind=kind, job_id__in=ids).delete()
