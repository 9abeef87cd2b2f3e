"""A server process that cannot outlive us: started under a parent-death signal, stopped by its own pid."""

import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from signal import Signals


class ServerError(RuntimeError):
    """A test server did not start; the message holds the end of its own log."""


PORTS = range(20000, 31000)
MONGODB_PORTS = range(31000, 32000)  # pyproject.toml knows a socket to MongoDB by them


def free_port(count: int = 1, *, ports: range = PORTS) -> int:
    """The first of `count` free consecutive TCP ports on loopback.

    Drawn from below the kernel's ephemeral range, so that no outgoing connection takes it before the server does.
    """
    for _ in range(200):
        first = random.SystemRandom().choice(ports)
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise ServerError(f"No free port on 127.0.0.1 between {ports.start} and {ports.stop}.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def running(
    command: list[str],
    *,
    log: Path,
    ready: Callable[[], bool],
    env: Mapping[str, str] | None = None,
    stop_with: Signals = Signals.SIGTERM,
    setpriv: tuple[str, ...] = (),
    timeout: float = 30,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `command` in a process group of its own until the context ends; enters when `ready()` is true.

    Raises ServerError when it ends or stays silent before that. The kernel sends `stop_with` should we be killed.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["setpriv", *setpriv, "--pdeathsig", stop_with.name.removeprefix("SIG"), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,  # Ctrl-C is for us; the server is stopped in order afterwards
        )
    try:
        _wait_until_ready(process, ready, log, timeout)
        yield process
    finally:
        stop(process, stop_with)


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not ready():
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            how = f"ended with status {process.returncode}" if ended else f"was not ready after {timeout:.0f} s"
            tail = log.read_text(errors="replace")[-2000:]
            raise ServerError(f"{' '.join(map(str, process.args[:6]))} {how}:\n{tail}")  # type: ignore[index]
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes], signal: Signals = Signals.SIGTERM) -> None:
    """Ends the process: asks first, kills after 30 s. Does nothing when it has ended."""
    if process.poll() is None:
        process.send_signal(signal)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def answers(port: int) -> bool:
    """True when something accepts TCP connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
