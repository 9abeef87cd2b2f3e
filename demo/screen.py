"""What the demo shows, in 80 columns: a heading for each engine, a line with a live bar for each step, a table."""

import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

MB = 1_000_000
WIDTH = 80
NAME = 24
INDENT = NAME + 10  # of what came of a step


@dataclass
class Step:
    """One line: how long it took, and what came of it."""

    name: str
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A line of the table at the end: one backup. Sizes are bytes; `restored` is in seconds."""

    name: str
    plain: int
    stored: int
    seconds: float
    restored: float | None = None


class Screen:
    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        if not self.console.is_terminal:
            self.console.width = WIDTH
        self.steps: list[Step] = []
        self.skipped: dict[str, str] = {}
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn(f"{{task.description:<{NAME - 2}}}"),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,  # in a log file, one line a step is enough
        )

    def heading(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}[/]", highlight=False)

    @contextmanager
    def step(self, name: str) -> Iterator["Running"]:
        """Shows the step while it runs, and a line with its time when it has ended well."""
        running = Running(Step(name), self._bars)
        self._bars.start()
        started = time.monotonic()
        try:
            yield running
        finally:
            running.step.seconds = running.step.seconds or time.monotonic() - started
            running.end()
            self._bars.stop()
        self.steps.append(running.step)
        self._line(running.step)

    def skip(self, name: str, reason: str) -> None:
        self.skipped[name] = reason
        text = textwrap.fill(f"{name} skipped: {reason}", WIDTH - 2, subsequent_indent="  ", break_on_hyphens=False)
        self.console.print("[yellow]-[/]", end=" ")
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def table(self, rows: Sequence[Row]) -> None:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column("backup", no_wrap=True)
        for heading in ("plain", "stored", "backed up", "restored"):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in rows:
            restored = "" if row.restored is None else f"{row.restored:.1f} s"
            table.add_row(row.name, in_words(row.plain), in_words(row.stored), f"{row.seconds:.1f} s", restored)
        self.console.print()
        self.console.print(table)

    def _line(self, step: Step) -> None:
        name, *more = textwrap.wrap(step.note, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False) or [""]
        self.console.print(f"[green]✓[/] {step.name:<{NAME - 2}} {step.seconds:5.1f} s ", end=" ", highlight=False)
        lines = "\n".join([name, *(" " * INDENT + line for line in more)])
        self.console.print(lines, style="dim", highlight=False, markup=False, soft_wrap=True)


class Running:
    """A step under way."""

    def __init__(self, step: Step, bars: Progress) -> None:
        self.step = step
        self._bars = bars
        self._bar = bars.add_task(step.name, total=None, figures="")

    def show(self, *, phase: str, done: int = 0, total: int | None = None, rate: int = 0) -> None:
        figures = f"{phase} {done / MB:.0f} MB" + (f", {rate / MB:.0f} MB/s" if rate else "")
        self._bars.update(self._bar, completed=done, total=total or None, figures=figures if done else phase)

    def end(self) -> None:
        self._bars.remove_task(self._bar)


def in_words(size: int) -> str:
    """With a space that no line is broken at."""
    return f"{size / MB:.1f}\u00a0MB" if size >= MB else f"{size / 1000:.1f}\u00a0kB"
