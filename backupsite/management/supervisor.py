"""Keeps the site's processes running: starts them, restarts one that ends, stops them in order."""

import logging
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
STEADY_S = 60.0  # one that ran this long starts again at the first backoff
TICK_S = 0.1


@dataclass
class Child:
    """One process. `stop_s` is what it gets between TERM and KILL."""

    name: str
    argv: Sequence[str]
    stop_s: float
    pass_fds: tuple[int, ...] = ()
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    failures: int = 0
    due: float = field(default=0.0)  # when to start it (again), on the monotonic clock

    def start(self) -> None:
        """In a session of its own, so that Ctrl-C reaches the supervisor alone; it dies with the supervisor."""
        argv = [shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL", "--", *self.argv]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=self.pass_fds, start_new_session=True)
        self.started = time.monotonic()
        logger.info("%s started with pid %d", self.name, self.process.pid)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.running:
            self.process.send_signal(number)


class Supervisor:
    """`run` returns the exit code: 0 after a stop that was asked for, 1 when the site never became ready."""

    def __init__(self, children: Sequence[Child], *, ready: Callable[[], bool], on_ready: Callable[[], None]) -> None:
        """Children are stopped in the given order. `ready()` is asked until it is true, then `on_ready()` called."""
        self.children = children
        self._ready, self._on_ready = ready, on_ready
        self._is_ready = False
        self._stopping = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        try:
            while not self._stopping:
                if not self._tick():
                    return 1
                time.sleep(TICK_S)
            logger.info("stopping")
            return 0
        finally:
            self._stop_all()

    def _ask_to_stop(self, number: int, frame: object) -> None:
        self._stopping = True  # only this: a handler may interrupt anything

    def _tick(self) -> bool:
        """False when a child cannot be started at all."""
        for child in self.children:
            if child.process is None:
                if time.monotonic() >= child.due:
                    child.start()
            elif (status := child.process.poll()) is not None:
                if not self._is_ready and child is self.children[0]:
                    logger.error("%s %s before the site was ready", child.name, _end(status))
                    return False
                self._schedule_restart(child, status)
        if not self._is_ready and self._ready():
            self._is_ready = True
            self._on_ready()
        return True

    def _schedule_restart(self, child: Child, status: int) -> None:
        lived = time.monotonic() - child.started
        child.failures = 1 if lived > STEADY_S else child.failures + 1
        pause = BACKOFF_S[min(child.failures, len(BACKOFF_S)) - 1]
        logger.error("%s %s after %.0f s; it starts again in %.0f s", child.name, _end(status), lived, pause)
        child.process, child.due = None, time.monotonic() + pause

    def _stop_all(self) -> None:
        """All are asked at once, the web first, so that nothing new comes in; each has its own grace."""
        for child in self.children:
            child.signal(signal.SIGTERM)
        asked = time.monotonic()
        for child in self.children:
            _reap(child, asked + child.stop_s)


def _reap(child: Child, deadline: float) -> None:
    if child.process is None:
        return
    try:
        child.process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        logger.warning("%s did not stop within %.0f s and is killed", child.name, child.stop_s)
        child.process.kill()
        child.process.wait()
    logger.info("%s stopped", child.name)


def _end(status: int) -> str:
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
