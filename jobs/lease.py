"""The lease of a running attempt: renewed by a heartbeat, asked between blocks, and the only right to write the row."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from django.db import Error as DatabaseFault
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import DateTimeField, ExpressionWrapper
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from jobs.errors import BackupError
from jobs.models import Job, LogLine, Status
from jobs.phases import PhaseBook

logger = logging.getLogger(__name__)

HEARTBEAT_S = 2.0  # far below the lease: progress bars and cancels react within it
UNWIND_S = 60.0  # what a run gets between being told to stop and having stopped
LONGEST_LINE = 10_000  # characters of a line of the log
MOST_WAITING = 10_000  # lines, while the site's database is away
AWAY = (OperationalError, InterfaceError)


class LeaseLost(Exception):
    """The attempt no longer belongs to this process: stop, undo what is its own, and write nothing to the row."""


class JobCancelled(Exception):
    """Somebody asked this job to stop."""


def lease_end() -> ExpressionWrapper[CombinedExpression]:
    """Now plus the lease, by the site database's clock."""
    return ExpressionWrapper(Now() + timedelta(seconds=settings.BACKUPSITE_LEASE_S), output_field=DateTimeField())


class Lease:
    """Held by the thread that runs an attempt, for the length of a `with` block. Implements the engines' `Guard`."""

    def __init__(self, job: Job, token: uuid.UUID) -> None:
        self.job = job
        self.token = token
        self._held_until = time.monotonic() + settings.BACKUPSITE_LEASE_S
        self._started = self._moved = time.monotonic()
        self._phase = ""
        self._bytes_expected = False
        self._bytes_done = 0
        self._estimate: int | None = None
        self._rate_from = (time.monotonic(), 0)
        self._reason: Exception | None = None
        self._told_at = self._unwound_by = 0.0
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._lines: list[LogLine] = []
        self._book = PhaseBook(job)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{job.pk}", daemon=True)

    def __enter__(self) -> Self:
        _held.add(self)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join()
        _held.discard(self)
        self.close_books()

    # What the run calls

    def check(self) -> None:
        """Raises when the attempt must stop. Cheap: called before every block.

        The monotonic clock is compared too, so that a process that was frozen past its lease writes nothing when it
        wakes, before the heartbeat has noticed.
        """
        if self._reason is None and time.monotonic() > self._held_until:
            self._abort(LeaseLost(f"{self.job.pk}: the lease ran out"))
        if self._reason is not None:
            raise self._reason

    def phase(self, name: str, *, moves_bytes: bool = True, estimate: int | None = None) -> None:
        """Enters a phase; `moves_bytes` subjects it to the stall timeout. Bytes count from 0 again."""
        self.check()
        self._book.enter(name, bytes_done=self._bytes_moved)
        with self._lock:
            self._phase, self._bytes_expected, self._estimate = name, moves_bytes, estimate
            self._bytes_done = 0
            self._moved = time.monotonic()
            self._rate_from = (self._moved, 0)
        self._wake.set()

    @property
    def _bytes_moved(self) -> int:
        """Of this phase; what a phase is told that moves none belongs to the one before it."""
        return self._bytes_done if self._bytes_expected else 0

    def progress(self, bytes_done: int) -> None:
        """Tells how many bytes this phase has moved so far."""
        if bytes_done != self._bytes_done:
            self._bytes_done = bytes_done
            self._moved = time.monotonic()

    def unwind_for(self, seconds: float) -> None:
        """From now on the run may take so long to stop when it is told to: it has last work to do, and bounds that."""
        self._unwound_by = time.monotonic() + seconds

    def on_abort(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Registers what must happen, in another thread, at the moment the attempt must stop."""
        key = id(callback)
        with self._lock:
            self._callbacks[key] = callback
            late = self._reason is not None
        if late:
            callback()
        return lambda: self._forget(key)

    def log(self, message: str) -> None:
        """Adds a line to the job's log, from any thread; the heartbeat writes it at once."""
        text = message[:LONGEST_LINE].replace("\0", "").encode("utf-8", "replace").decode()  # what databases take
        line = LogLine(job_kind=self.job.kind, job_id=self.job.pk, attempt=self.job.attempt, message=text)
        logger.info("%s: %s", self.job.pk, text, extra={"job": self.job.pk})
        with self._lock:
            self._lines.append(line)
        self._wake.set()

    @property
    def own_rows(self) -> Any:
        """The job's row, as long as this lease holds it: every write of the run goes through this queryset."""
        return type(self.job)._default_manager.filter(pk=self.job.pk, status=Status.IN_PROGRESS, lease_token=self.token)

    # The heartbeat's thread

    def _forget(self, key: int) -> None:
        with self._lock:
            self._callbacks.pop(key, None)

    def _abort(self, reason: Exception) -> None:
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            self._told_at = time.monotonic()
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()

    def _beat(self) -> None:
        try:
            while True:
                self._wake.wait(HEARTBEAT_S)
                if self._stop.is_set():
                    return
                self._wake.clear()
                self.write_log()
                self._renew()
                self._watch()
                if self._reason is not None and time.monotonic() > max(self._told_at, self._unwound_by) + UNWIND_S:
                    self._give_up(self._reason)
                    return
        finally:
            connection.close()

    def _give_up(self, reason: Exception) -> None:
        """The run hangs where nothing reaches it. Without a heartbeat its lease runs out, and the row is ended."""
        logger.error("%s was told to stop and did not within %.0f s: %s", self.job.pk, UNWIND_S, type(reason).__name__)
        self.log(f"The run was told to stop and hangs: {reason}")
        self.write_log()
        _end_stuck()

    def close_books(self) -> None:
        """Ends the phase and writes all that was said: who sees that the run has ended sees all of it."""
        self._book.close(bytes_done=self._bytes_moved)
        self.write_log()

    def write_log(self) -> None:
        """Writes what was said so far, and the phases; the heartbeat does so by itself.

        One at a time: who returns from here knows that what another thread had taken to write is written too.
        """
        with self._writing:
            self._write_phases()
            self._write_lines()

    def _write_lines(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        try:
            LogLine.objects.bulk_create(lines)
        except AWAY as fault:
            self._keep(lines, fault)
        except DatabaseFault:
            self._write_each(lines)

    def _write_phases(self) -> None:
        try:
            self._book.write()
        except DatabaseFault as fault:
            logger.warning("the phases of %s wait: %s", self.job.pk, type(fault).__name__)

    def _write_each(self, lines: list[LogLine]) -> None:
        """The database refuses one of them: it must neither keep the others out nor be tried for ever."""
        for number, line in enumerate(lines):
            try:
                with transaction.atomic():
                    line.save(force_insert=True)
            except AWAY as fault:
                self._keep(lines[number:], fault)
                return
            except DatabaseFault as fault:
                logger.error("a line of the log of %s is refused: %s", self.job.pk, type(fault).__name__)

    def _keep(self, lines: list[LogLine], fault: DatabaseFault) -> None:
        logger.warning("the log of %s waits: %s", self.job.pk, type(fault).__name__)
        with self._lock:
            self._lines = (lines + self._lines)[:MOST_WAITING]

    def _renew(self) -> None:
        asked = time.monotonic()
        try:
            held = self.own_rows.update(lease_expires_at=lease_end(), **self._figures())
            row = self.own_rows.values_list("cancel_requested", flat=True).first() if held else None
        except DatabaseFault as fault:
            # The lease itself bounds how long the site's database may be away.
            logger.warning("heartbeat of %s failed: %s", self.job.pk, type(fault).__name__)
            connection.close()
            if asked > self._held_until:
                self._abort(LeaseLost(f"{self.job.pk}: the lease ran out while the site's database was away"))
            return
        if row is None:
            self._abort(LeaseLost(f"{self.job.pk}: another process has taken the job over"))
        else:
            self._held_until = asked + settings.BACKUPSITE_LEASE_S
            if row:
                self._abort(JobCancelled(f"{self.job.pk} was cancelled"))

    def _figures(self) -> dict[str, Any]:
        now = time.monotonic()
        with self._lock:
            since, then = self._rate_from
            rate = int((self._bytes_done - then) / (now - since)) if now - since > 0.2 else 0
            if now - since > 10:
                self._rate_from = (now, self._bytes_done)
            return {
                "phase": self._phase,
                "bytes_done": self._bytes_done,
                "bytes_total_estimate": self._estimate,
                "bytes_per_s": rate,
            }

    def _watch(self) -> None:
        now = time.monotonic()
        stall, longest = settings.BACKUPSITE_STALL_TIMEOUT_S, settings.BACKUPSITE_MAX_DURATION_S
        if now - self._started > longest:
            self._abort(
                BackupError(
                    f"The run took longer than {longest} seconds and was stopped.",
                    code="max_duration",
                    hint="Raise BACKUPSITE_MAX_DURATION if this Database needs more time.",
                )
            )
        elif self._bytes_expected and now - self._moved > stall:
            self._abort(
                BackupError(
                    f"No byte moved for {stall} seconds in phase {self._phase!r}; the run was stopped.",
                    code="stalled",
                    hint="The server or the destination hangs: look for locks and for the network between them.",
                )
            )


_held: set[Lease] = set()
_end_stuck: Callable[[], object] = bool  # nothing, until a worker says how


def when_stuck(end: Callable[[], None]) -> None:
    """`end` is called, in a heartbeat's thread, when a run of this process does not stop: it ends the process."""
    global _end_stuck  # noqa: PLW0603 - one for each process, as the process is
    _end_stuck = end


def stop_all() -> None:
    """Ends every attempt that this process runs, from any thread: its row says why, and the next attempt follows."""
    for lease in list(_held):
        lease._abort(BackupError("The worker was stopped during the run.", code="worker_stopped"))
