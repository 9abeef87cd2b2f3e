"""A whole site, as `manage.py serve` runs it, on a free port and a data folder of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests import live
from tests.prepared import QUICK, prepare

# A site of a test protects what the test protects, and not itself beside it.
QUIET = {"BACKUPSITE_SELF_BACKUP": "false"}
ROOT = Path(__file__).resolve().parents[2]
MANAGE = str(ROOT / "manage.py")


def environment(data_dir: Path, **values: str) -> dict[str, str]:
    """Nothing of the test run's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "BACKUPSITE_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1", **QUIET, **QUICK, **values}


def manage(*argv: str, data_dir: Path, **values: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, MANAGE, *argv],
        env=environment(data_dir, **values),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def until(condition: Callable[[], Any], *, seconds: float = 60.0, what: str = "") -> Any:
    return live.until(condition, seconds=seconds, what=lambda: what)


class Site:
    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ready(self) -> str:
        """Waits for the ready line and returns the site's address."""

        def line() -> Any:
            assert self.process.poll() is None, self.log
            return re.search(r"ready in ([\d.]+) s at (\S+)", self.log)

        found = until(line, seconds=120, what=f"ready: {self.log}")
        self.ready_s = float(found[1])
        self.address: str = found[2]
        return str(found[2])

    def pid_of(self, role: str) -> int:
        return int(re.findall(rf"{role} started with pid (\d+)", self.log)[-1])

    def tree(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def get(self, path: str, method: str = "GET") -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(self.address + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60 * live.busy()) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def serving(data_dir: Path, *argv: str, from_nothing: bool = False, **values: str) -> Iterator[Site]:
    """`manage.py serve` with these arguments. It finds its tables made, unless it shall start `from_nothing`."""
    if not from_nothing and "DATABASE_URL" not in values:
        prepare(data_dir)
    log = data_dir.parent / f"{data_dir.name}-{time.monotonic_ns()}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, MANAGE, "serve", "--port", "0", *argv],
            env=environment(data_dir, **values),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Site(process, log)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)
