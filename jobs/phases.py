"""When an attempt entered and left each phase: noted by the run, written by the lease's heartbeat."""

import threading
from datetime import datetime

from django.utils import timezone

from jobs.models import Job, PhaseTime

KEY = ("job_kind", "job_id", "attempt", "number")
MOST = 100  # of an attempt; no run has so many, and a loop must not fill the table


class PhaseBook:
    """The phases of one attempt. `enter` and `close` are the run's, `write` whoever writes the row's figures."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._open: PhaseTime | None = None
        self._unwritten: dict[int, PhaseTime] = {}
        self._count = 0
        self._lock = threading.Lock()

    def enter(self, name: str, *, bytes_done: int) -> None:
        """`bytes_done` are those of the phase that ends with this."""
        now = timezone.now()
        with self._lock:
            self._close(now, bytes_done)
            if self._count == MOST:
                return
            phase = PhaseTime(
                job_kind=self._job.kind,
                job_id=self._job.pk,
                attempt=self._job.attempt,
                number=self._count,
                name=name,
                began_at=now,
            )
            self._open = self._unwritten[self._count] = phase
            self._count += 1

    def close(self, *, bytes_done: int) -> None:
        with self._lock:
            self._close(timezone.now(), bytes_done)

    def _close(self, at: datetime, bytes_done: int) -> None:
        if self._open is None:
            return
        self._open.ended_at, self._open.bytes_done = at, bytes_done
        self._unwritten[self._open.number] = self._open
        self._open = None

    def write(self) -> None:
        """What could not be written is tried the next time. Raises what the database raises."""
        with self._lock:
            rows, self._unwritten = self._unwritten, {}
        try:
            if rows:
                PhaseTime.objects.bulk_create(
                    [_copy_of(row) for row in rows.values()],
                    update_conflicts=True,
                    unique_fields=KEY,
                    update_fields=("ended_at", "bytes_done"),
                )
        except BaseException:
            with self._lock:
                self._unwritten = rows | self._unwritten
            raise


def _copy_of(row: PhaseTime) -> PhaseTime:
    """`bulk_create` writes a key into what it is given, and the next time would insert by that."""
    names = (*KEY, "name", "began_at", "ended_at", "bytes_done")
    return PhaseTime(**{name: getattr(row, name) for name in names})
