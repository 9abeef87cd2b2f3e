"""The whole site as its users run it, on loopback, with a data folder of its own; and a real browser."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a password for tests only"
CHROMIUM = "/usr/bin/chromium"
# Nothing leaves the machine: no QUIC, no component updates. The sandbox needs rights a container has not.
CHROMIUM_ARGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]


@dataclass(frozen=True)
class Site:
    url: str
    folder: Path

    def manage(self, *arguments: str) -> str:
        """Runs a command of this site and returns what it printed."""
        run = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(run, env=_environment(self.folder, []), capture_output=True, text=True, check=True)
        return done.stdout


@contextmanager
def running_site(folder: Path, *, pg_bin_dirs: list[Path]) -> Iterator[Site]:
    """`manage.py serve`, ready to answer; stopped with all its children at the end."""
    port = _free_port()
    command = [sys.executable, str(ROOT / "manage.py"), "serve", "--port", str(port), "--workers", "1"]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(command, env=_environment(folder, pg_bin_dirs), stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/healthz", process, folder / "serve.log")
            yield Site(url=f"http://127.0.0.1:{port}", folder=folder)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        try:
            yield opened
        finally:
            opened.close()


def log_in(page: Page, site: Site, *, username: str = "admin") -> None:
    page.goto(f"{site.url}/admin/login/?next=/admin/")
    page.fill("input[name=username]", username)
    page.fill("input[name=password]", PASSWORD)
    page.click("#login-form button[type=submit]")
    page.wait_for_url(f"{site.url}/admin/")


def _environment(folder: Path, pg_bin_dirs: list[Path]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "BACKUPSITE_DATA_DIR": str(folder),
        "BACKUPSITE_ADMIN_PASSWORD": PASSWORD,
        "BACKUPSITE_PG_BIN_DIRS": ",".join(str(path) for path in pg_bin_dirs),
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"The site did not start:\n{log.read_text()[-4000:]}")
