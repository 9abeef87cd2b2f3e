"""What the demo shows: one line with a live bar for each step, and a table at the end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

MB = 1_000_000
WIDTH_OF_A_FILE = 150


@dataclass
class Step:
    """One line: how long it took, how many bytes it moved (None: it moves none), and what came of it."""

    name: str
    seconds: float = 0.0
    moved: int | None = None
    note: str = ""

    @property
    def rate(self) -> str:
        return "" if self.moved is None or not self.seconds else f"{self.moved / self.seconds / MB:.0f}"


class Screen:
    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        if not self.console.is_terminal:
            self.console.width = WIDTH_OF_A_FILE
        self.steps: list[Step] = []
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<36}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,  # in a log file, one line a step is enough
        )

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
        step = running.step
        self.console.print(
            f"[green]✓[/] {name:<36} {step.seconds:6.1f} s  [dim]{step.note}[/]", highlight=False, soft_wrap=True
        )

    def table(self) -> None:
        table = Table(title="What the demo did", title_justify="left")
        table.add_column("step", no_wrap=True)
        for heading in ("seconds", "MB", "MB/s"):
            table.add_column(heading, justify="right")
        table.add_column("result", overflow="fold")
        for step in self.steps:
            size = "" if step.moved is None else f"{step.moved / MB:.1f}"
            table.add_row(step.name, f"{step.seconds:.1f}", size, step.rate, step.note)
        self.console.print(table)


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
