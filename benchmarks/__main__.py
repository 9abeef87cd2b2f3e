"""`python -m benchmarks [--size-mb N] [--rounds N]`: prints the verdicts; a full run writes docs/benchmarks.md."""

import argparse
import signal
import sys

from rich.console import Console

from benchmarks import lists, rounds
from benchmarks.figures import Figures
from benchmarks.report import page, summary
from benchmarks.section import PAGE, kept_section
from benchmarks.world import opened_world
from demo.client import ApiError
from demo.site import REPOSITORY
from tests.servers.fetch import Missing, tool
from tests.servers.process import ServerError

FOLDER = REPOSITORY / ".bench"
FULL_SIZE_MB, FULL_ROUNDS = 1000, 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size-mb", type=int, default=FULL_SIZE_MB, help="size of the database (default 1000)")
    parser.add_argument("--rounds", type=int, default=FULL_ROUNDS, help="timed rounds (default 5)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _terminated)
    console = Console()
    try:
        figures = measure(console, size_mb=arguments.size_mb, count=arguments.rounds)
    except (ApiError, ServerError, Missing, RuntimeError, OSError) as error:
        Console(stderr=True).print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    text = page(figures, rounds=arguments.rounds, command=command, folder=REPOSITORY)
    console.print(summary(figures), markup=False, highlight=False, soft_wrap=True)
    if arguments.size_mb >= FULL_SIZE_MB and arguments.rounds >= FULL_ROUNDS:
        PAGE.write_text(text + kept_section(), encoding="utf-8")
        console.print(f"Written: {PAGE.relative_to(REPOSITORY)}")
    else:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        console.print("A quick run: docs/benchmarks.md is left as it was.")
    return 0


def measure(console: Console, *, size_mb: int, count: int) -> Figures:
    figures = Figures()
    tool("zstd")  # the floor needs it
    with console.status("making the database") as status, opened_world(FOLDER, size_mb=size_mb) as world:
        say = status.update if console.is_terminal else console.print
        figures.database_size = world.size
        say("list pages over 10,000 backups")
        figures.pages = lists.measure(world)  # first: the 10,000 stay in the table for all that follows
        kept = rounds.warm_up(world, figures, say)
        rounds.timed(world, figures, kept, count, say)
        rounds.tiny(world, figures, say)
    return figures


def _terminated(_signal: int, _frame: object) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
