"""`python -m demo [--keep | --stop]`: 0 when all that was restored equals the original, 1 when anything is wrong.

What the machine cannot have is skipped, with a line that says why, and is nothing wrong.
"""

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

import psycopg2
from botocore.exceptions import BotoCoreError, ClientError
from pymongo.errors import PyMongoError
from rich.console import Console

from demo.client import ApiError
from demo.journey import DemoFailed, travel
from demo.keeper import Keeper
from demo.screen import Screen
from demo.site import REPOSITORY
from demo.stage import POSTGRES, Stage, set_up
from tests.servers.apt import Missing
from tests.servers.fetch import postgres_bin
from tests.servers.process import ServerError, answers

FOLDER = REPOSITORY / ".demo"
KEPT_PORT = 8000
DRIVERS = (psycopg2.Error, PyMongoError, BotoCoreError, ClientError)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description="Sample data of every engine out and back.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--keep", action="store_true", help="leave everything running")
    choice.add_argument("--stop", action="store_true", help="stop what --keep left running")
    arguments = parser.parse_args()
    keeper = Keeper(FOLDER / "keeper")
    if arguments.stop:
        return _stop(keeper)
    if pid := keeper.pid():
        return _fail(f"a kept demo is running (process {pid}): stop it with `make demo-stop`")
    signal.signal(signal.SIGTERM, _terminated)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(mode=0o700)
    if arguments.keep:
        return keeper.run(run, log=FOLDER / "keeper.log")
    return run(None)


def run(stay: Callable[[], None] | None) -> int:
    """The whole demo; with `stay` everything is left running at the end, until that is stopped."""
    started = time.monotonic()
    screen = Screen(Console())
    try:
        with ExitStack() as stack:
            stage = set_up(screen, stack, FOLDER, KEPT_PORT if stay and not answers(KEPT_PORT) else None)
            screen.table([row for sample in stage.samples for row in travel(screen, stage.site, sample)])
            _conclude(screen, time.monotonic() - started)
            if stay:
                _tell(screen.console, stage)
                stay()
    except (DemoFailed, ApiError, ServerError, Missing, RuntimeError, OSError, *DRIVERS) as error:
        return _fail(f"{error}\nThe site's log: {FOLDER / 'serve.log'}")
    except KeyboardInterrupt:
        return _fail("interrupted; everything is stopped", status=130)
    shutil.rmtree(FOLDER)
    return 0


def _conclude(screen: Screen, seconds: float) -> None:
    screen.console.print(
        f"\n[bold green]Everything restored equals its original.[/] ({seconds:.0f} s)", highlight=False
    )
    if screen.skipped:
        screen.console.print(f"Skipped, as said above: {', '.join(screen.skipped)}.", highlight=False)


def _tell(console: Console, stage: Stage) -> None:
    """Secrets of the demo's own servers, which are gone with it."""
    site = stage.site
    folders = " ".join(f"{name}={value}" for name, value in stage.settings.items() if value)
    setting = f"BACKUPSITE_DATA_DIR={site.data} BACKUPSITE_PG_BIN_DIRS={postgres_bin(POSTGRES)} {folders}".rstrip()
    lines = [
        f"site      {site.url}/admin/   (API: {site.url}/docs)",
        f"login     {site.username} / {site.password}",
        *(f"{sample.source:<9} {sample.access()}" for sample in stage.samples),
        f"commands  {setting} .venv/bin/python manage.py doctor",
        "stop it   make demo-stop",
    ]
    console.print("\nEverything is left running.")
    for line in lines:
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _stop(keeper: Keeper) -> int:
    try:
        stopped = keeper.stop()
    except RuntimeError as error:
        return _fail(str(error))
    shutil.rmtree(FOLDER, ignore_errors=True)
    print("The demo is stopped." if stopped else "No kept demo is running.")
    return 0


def _terminated(_signal: int, _frame: object) -> None:
    raise SystemExit(143)


def _fail(message: str, status: int = 1) -> int:
    Console(stderr=True).print(f"[bold red]error:[/] {message}", highlight=False, soft_wrap=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
