"""`KEEP=1`: one process owns everything that was started, lives on in the background, and stops it all when asked."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

STOPS_WITHIN_S = 60


class Keeper:
    """Remembered in a file as pid and start time, so that a pid used again by another process is never signalled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def pid(self) -> int | None:
        """The pid of the keeper that is running, None when there is none."""
        try:
            pid, started = self.file.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if _start_time(int(pid)) == started else None

    def stop(self) -> bool:
        """Asks the running keeper to stop everything and waits until it is gone. False when none is running.

        Raises RuntimeError when it does not go.
        """
        pid = self.pid()
        if pid is None:
            return False
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOPS_WITHIN_S
        while self.pid() == pid:
            if time.monotonic() > deadline:
                raise RuntimeError(f"process {pid} does not stop")
            time.sleep(0.1)
        return True

    def remember(self) -> None:
        self.file.write_text(f"{os.getpid()} {_start_time(os.getpid())}\n")

    def run(self, work: Callable[[Callable[[], None]], int], *, log: Path) -> int:
        """Runs `work(stay)` in a child and returns its status, or 0 as soon as it has called `stay`.

        `stay` detaches the child from the terminal, lets us return, and blocks until SIGTERM, which it raises as
        SystemExit so that everything started is stopped on the way out.
        """
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            return work(lambda: self._stay(writer, log))
        os.close(writer)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the child as well, and it is the one to stop
        if os.read(reader, 1):
            return 0
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _stay(self, writer: int, log: Path) -> None:
        self.remember()
        os.setsid()
        with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        os.write(writer, b"k")
        os.close(writer)
        while True:
            signal.pause()


def _start_time(pid: int) -> str:
    """Clock ticks after boot, from /proc; empty when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]
