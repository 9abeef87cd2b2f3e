"""`python -m demo [--keep | --stop]`: 0 when the restored shop equals the original, 1 when anything is wrong."""

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from rich.console import Console

from demo.client import ApiError
from demo.journey import SOURCE, TARGET, DemoFailed, travel
from demo.keeper import Keeper
from demo.screen import MB, Screen
from demo.shop import ROLE, Shop, open_shop
from demo.site import REPOSITORY, Site, running_site
from tests.servers.fetch import Missing, postgres_bin
from tests.servers.postgres import start_postgres
from tests.servers.process import ServerError, answers

FOLDER = REPOSITORY / ".demo"
POSTGRES = 18
KEPT_PORT = 8000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description="A PostgreSQL database out and back.")
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
            site, shop = _start(screen, stack, KEPT_PORT if stay and not answers(KEPT_PORT) else None)
            travel(screen, site, shop)
            screen.table()
            screen.console.print(
                f"[bold green]The restored shop equals the original.[/] ({time.monotonic() - started:.0f} s)"
            )
            if stay:
                _tell(screen.console, site, shop)
                stay()
    except (DemoFailed, ApiError, ServerError, Missing, RuntimeError, OSError) as error:
        return _fail(f"{error}\nThe site's log: {FOLDER / 'serve.log'}")
    except KeyboardInterrupt:
        return _fail("interrupted; everything is stopped", status=130)
    shutil.rmtree(FOLDER)
    return 0


def _start(screen: Screen, stack: ExitStack, port: int | None) -> tuple[Site, Shop]:
    with screen.step("Fetch PostgreSQL (once)") as running:
        bin_dir = postgres_bin(POSTGRES)
        running.step.note = str(bin_dir)
    with screen.step("Start PostgreSQL") as running:
        server = stack.enter_context(start_postgres(POSTGRES, FOLDER / "postgres"))
        shop = open_shop(server)
        shop.create_database(SOURCE)
        shop.create_database(TARGET)
        running.step.note = f"version {POSTGRES} on port {server.port}"
    with ThreadPoolExecutor(1) as beside:
        filling = beside.submit(_fill, shop)
        with screen.step("Start Backupsite") as running:
            site = stack.enter_context(running_site(FOLDER, pg_bin_dir=bin_dir, port=port))
            running.step.note = site.url
        with screen.step("Fill the sample shop (meanwhile)") as running:
            size, running.step.seconds = filling.result()
            running.step.note = f"{size / MB:.0f} MB in database {SOURCE!r}"
    return site, shop


def _fill(shop: Shop) -> tuple[int, float]:
    started = time.monotonic()
    return shop.fill(SOURCE), time.monotonic() - started


def _tell(console: Console, site: Site, shop: Shop) -> None:
    console.print(f"\nEverything is left running.\n  site      {site.url}/admin/   (API: {site.url}/docs)")
    console.print(f"  login     {site.username} / {site.password}", highlight=False, markup=False)
    server = shop.server
    console.print(f"  database  {server.host}:{server.port}, databases {SOURCE!r} and {TARGET!r}", highlight=False)
    console.print(f"            {ROLE} / {shop.password}", highlight=False, markup=False)
    setting = f"BACKUPSITE_DATA_DIR={site.data} BACKUPSITE_PG_BIN_DIRS={server.bin_dir}"
    console.print(f"  commands  {setting} .venv/bin/python manage.py doctor", highlight=False, soft_wrap=True)
    console.print("  stop it   make demo-stop")


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
