"""Follow a job from a terminal: a live bar for eyes, a line for each change where nobody looks."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from jobs.errors import BackupError
from jobs.management.command import CANCELLED, DONE, FAILED
from jobs.models import Job, Status
from jobs.services.cancel import cancel_job
from jobs.services.run import run_job

POLL_S = 0.2
UNSEEN_S = 30.0  # pending for so long: say what it may wait for


def follow(job: Job) -> int:
    """Returns the exit code once the job has ended.

    Ctrl-C on a terminal asks whether to cancel the job. Without a terminal, or at the second Ctrl-C, the job goes on
    and only the following ends: a script that is stopped must not take a running backup with it.
    """
    try:
        with _shown(job) as show:
            while job.is_open:
                show()
                time.sleep(POLL_S)
                job.refresh_from_db()
            show()
    except KeyboardInterrupt:
        return _interrupted(job)
    return exit_code(job)


def run_here(job: Job) -> int:
    """Runs the job in this process, for hosts without a worker. Ctrl-C stops it, and the row says so."""
    run_job(kind_name=job.kind, job_id=job.pk)
    job.refresh_from_db()
    if job.status == Status.PENDING:
        raise BackupError(
            f"{job.pk} cannot start now; it waits for its turn.",
            code="busy",
            hint="Another job of the same Database runs, or as many run as are allowed. A worker or the next "
            "attempt picks it up; cancel it if it shall not run.",
        )
    return exit_code(job)


def exit_code(job: Job) -> int:
    if job.status == Status.COMPLETED:
        return DONE
    return CANCELLED if job.status == Status.CANCELLED else FAILED


def _interrupted(job: Job) -> int:
    console = Console(stderr=True)
    try:
        wants = sys.stdin.isatty() and console.input(f"\nCancel {job.pk}? [y/N] ").strip().lower() in ("y", "yes")
    except (KeyboardInterrupt, EOFError):
        wants = False
    if not wants:
        console.print(f"{job.pk} goes on without this terminal; `manage.py backups` shows its state.", highlight=False)
        return exit_code(job)
    cancel_job(job=job)
    return follow(job)


class _Lines:
    """Without a terminal: one line at each change of status, attempt or phase."""

    def __init__(self, job: Job, console: Console) -> None:
        self._job, self._console = job, console
        self._last: tuple[str, int, str] | None = None

    def __call__(self) -> None:
        state = (self._job.status, self._job.attempt, self._job.phase)
        if state != self._last:
            self._last = state
            phase = f" {self._job.phase}" if self._job.phase else ""
            self._console.print(f"{self._job.pk} {self._job.status}{phase}", highlight=False)


class _Bar:
    """On a terminal: phase, bytes and rate."""

    def __init__(self, job: Job, progress: Progress, task: TaskID) -> None:
        self._job, self._progress, self._task = job, progress, task
        self._began = time.monotonic()

    def __call__(self) -> None:
        job, words = self._job, self._job.phase.replace("_", " ") or self._job.get_status_display()
        if job.status == Status.PENDING and time.monotonic() - self._began > UNSEEN_S:
            words = "pending (no worker took it yet: manage.py doctor)"
        total = None if job.bytes_total_estimate is None else max(job.bytes_total_estimate, job.bytes_done)
        self._progress.update(self._task, description=f"{job.pk} {words}", completed=job.bytes_done, total=total)


@contextmanager
def _shown(job: Job) -> Iterator[_Bar | _Lines]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(job, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
    with Progress(*columns, TransferSpeedColumn(), TimeElapsedColumn(), console=console, transient=True) as progress:
        yield _Bar(job, progress, progress.add_task(job.pk, total=None))
