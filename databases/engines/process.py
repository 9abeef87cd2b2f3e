"""The only place that starts a dump tool.

A child runs in its own process group with an explicit environment, and dies with the thread that started it: that
thread has to be the job's own, because the kernel sends the parent-death signal when the starting *thread* ends.
`setpriv` sets the signal and execs the tool: a `preexec_fn` may deadlock in a process that has threads, and it costs
a full fork where vfork does. Only a parent killed in the millisecond before `setpriv` has set it leaves a child,
whose pipe is then closed.
"""

import fcntl
import io
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from databases.engines.base import Guard
from jobs.errors import BackupError

PIPE = subprocess.PIPE  # so that no other module needs subprocess
PIPE_SIZE = 1 << 20
STDERR_KEPT = 64 << 10
GRACE_S = 3.0


@dataclass(frozen=True)
class Known:
    """A text of a tool that is understood: any message that contains one of `texts` (lower case)."""

    texts: tuple[str, ...]
    code: str
    permanent: bool
    hint: str


@dataclass(frozen=True)
class User:
    """Whom a tool runs as; only root can become somebody else."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Tool:
    """What to start. `secrets` never appear in a message; `known` turns the tool's words into codes and hints.

    `rows` finds where the tool quotes data, which not everybody may see who reads an error: its group 1 stays. `line`
    is called with every line of stderr, also those that are too many to keep, from the thread that reads them.
    `end_with` is the signal that asks it to end.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    secrets: tuple[str, ...] = ()
    known: tuple[Known, ...] = ()
    rows: re.Pattern[str] | None = None
    line: Callable[[str], None] | None = None
    user: User | None = None
    end_with: signal.Signals = signal.SIGTERM

    @property
    def name(self) -> str:
        return Path(self.argv[0]).name


def explain(words: str, known: Sequence[Known]) -> Known | None:
    lowered = words.lower()
    return next((entry for entry in known if any(text in lowered for text in entry.texts)), None)


class _Words:
    """A child's stderr, read on a thread of its own so that the child never waits for us; the last 64 KiB are kept."""

    def __init__(self, stream: IO[bytes], tool: Tool) -> None:
        self._stream = stream
        self._secrets = [text for text in tool.secrets if text]
        self._rows = tool.rows
        self._line = tool.line
        self._begun = b""
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._drain, name="tool-stderr", daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with suppress(ValueError, OSError):
            while block := self._stream.read(8192):
                self._kept += block
                del self._kept[:-STDERR_KEPT]
                self._tell(block)

    def _tell(self, block: bytes) -> None:
        if self._line is not None:
            *lines, self._begun = (self._begun + block).split(b"\n")
            for line in lines:
                self._line(line.decode("utf-8", "replace"))

    def text(self) -> str:
        """What the tool said, once it has ended; secrets and quoted data are blanked, NUL is no text."""
        self._thread.join(timeout=GRACE_S)
        words = bytes(self._kept).decode("utf-8", "replace").replace("\0", "").strip()
        if self._rows is not None:
            words = self._rows.sub(r"\1 ********\n", words).strip()
        for secret in self._secrets:
            words = words.replace(secret, "********")
        return words

    def close(self) -> None:
        self._thread.join(timeout=GRACE_S)
        self._stream.close()


class Process:
    """A running tool; see `start`."""

    def __init__(self, tool: Tool, popen: "subprocess.Popen[bytes]", guard: Guard) -> None:
        self.tool = tool
        self._popen = popen
        self._guard = guard
        self._lock = threading.Lock()
        self._foreign = False
        self._words = _Words(popen.stderr or io.BytesIO(), tool)

    @property
    def stdin(self) -> IO[bytes]:
        assert self._popen.stdin is not None
        return self._popen.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._popen.stdout is not None
        return self._popen.stdout

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fills the buffer from the child's stdout until EOF; a short count is a verified end (see `finish`)."""
        view = memoryview(buffer)
        filled = 0
        while filled < len(view):
            count: int = self.stdout.readinto(view[filled:])  # type: ignore[attr-defined]
            if not count:
                self.finish()
                break
            filled += count
        return filled

    def finish(self) -> None:
        """Waits for the end. Raises BackupError in the tool's own words unless its status is 0."""
        status = self._popen.wait()
        if status:
            self._guard.check()  # when we killed it, the reason is ours to tell
            raise self.failure(status)

    def failure(self, status: int) -> BackupError:
        words = self._words.text()
        end = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"failed with status {status}"
        found = explain(words, self.tool.known)
        message = f"{self.tool.name} {end}: {words[-2000:]}" if words else f"{self.tool.name} {end} and said nothing."
        return BackupError(
            message,
            code=found.code if found else "tool_failed",
            permanent=found.permanent if found else False,
            hint=found.hint if found else "",
        )

    def words(self) -> str:
        """What the tool wrote to stderr; call it after the end."""
        return self._words.text()

    def ended(self) -> bool:
        return self._popen.poll() is not None

    def over(self) -> bool:
        """Whether the tool has ended; unlike `ended` it stays unreaped, so that its number remains its group's."""
        if self._popen.returncode is not None:
            return True
        return os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    @property
    def status(self) -> int:
        """After the context was left: the exit status, or the negative number of the signal that ended it."""
        return self._popen.returncode

    def kill(self) -> None:
        """From any thread: ends the whole process group at once. The starter still reaps it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            if self._popen.returncode is None:  # not reaped, so the number is still this group's
                with suppress(ProcessLookupError):
                    try:
                        os.killpg(self._popen.pid, number)
                    except PermissionError:  # it changed its user (sudo): nobody but that user can end it
                        self._foreign = True

    def close(self) -> None:
        """TERM (or what the tool wants), a short grace, KILL; reaps.

        stdin is closed last: its EOF could pass for the end of a whole archive.
        """
        if not self.over():
            self._signal(self.tool.end_with)
            until = time.monotonic() + GRACE_S
            while not self.over() and time.monotonic() < until:
                time.sleep(0.01)
        self._signal(signal.SIGKILL)  # also what it left running in its group
        if self.over() or not self._foreign:
            self._popen.wait()
        else:
            threading.Thread(target=self._popen.wait, name="tool-end", daemon=True).start()
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._words.close()


@contextmanager
def start(
    tool: Tool,
    *,
    guard: Guard,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    merged: bool = False,
) -> Iterator[Process]:
    """Runs a tool; leaving the context kills its process group. `guard`'s abort kills it from another thread.

    With `merged` its stderr comes in stdout, in the order it was written.
    """
    popen = _popen(tool, stdin, stdout, subprocess.STDOUT if merged else subprocess.PIPE)
    with ExitStack() as stack:
        process = Process(tool, popen, guard)
        stack.callback(process.close)
        stack.callback(guard.on_abort(process.kill))
        for stream in (popen.stdin, popen.stdout):
            if stream is not None:
                with suppress(OSError):  # above the user's pipe quota: the default size works too
                    fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        yield process


def _popen(tool: Tool, stdin: int | IO[bytes], stdout: int, stderr: int) -> "subprocess.Popen[bytes]":
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise BackupError("setpriv was not found.", code="tool_missing", permanent=True, hint="Install util-linux.")
    user = tool.user
    become = [f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"] if user else []
    argv = [setpriv, *become, "--pdeathsig", "KILL", "--", *tool.argv]
    try:
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            bufsize=0,
            env=dict(tool.env),
            start_new_session=True,
        )
    except OSError as error:
        raise BackupError(f"{tool.name} did not start: {error.strerror}.", code="tool_failed") from error


def output_of(argv: Sequence[str], *, timeout_s: float = 10.0) -> str:
    """stdout of a tool that needs no connection (`--version`). Raises BackupError when it fails."""
    try:
        done = subprocess.run(argv, env={"LC_ALL": "C"}, capture_output=True, timeout=timeout_s, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise BackupError(f"{argv[0]} does not run: {error}", code="tool_failed", permanent=True) from error
    return done.stdout.decode("utf-8", "replace")
