"""Charts as numbers to draw with: whole ones, so that no language's decimal sign gets into a drawing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from backupsite.dashboard.days import Runs
from backupsite.dashboard.upcoming import Hour

HEIGHT = 120  # of the drawing, in its own units
WIDTH = 1000


@dataclass(frozen=True)
class Piece:
    """A part of a bar, measured from the top of the drawing."""

    name: str
    y: int
    height: int


@dataclass(frozen=True)
class Bar:
    of: Any
    pieces: list[Piece]


@dataclass(frozen=True)
class Line:
    """`path` runs through the amounts, `area` down to the bottom below them."""

    path: str
    area: str


def bars(runs: Sequence[Runs]) -> list[Bar]:
    """Completed at the bottom, failed on it, cancelled on top."""
    names = ("completed", "failed", "cancelled")
    return _stacked(runs, [[(name, getattr(run, name)) for name in names] for run in runs])


def hour_bars(hours: Sequence[Hour]) -> list[Bar]:
    return _stacked(hours, [[("backups", hour.backups), ("drills", hour.drills)] for hour in hours])


def line(days: Sequence[tuple[date, int]]) -> Line | None:
    """None while there are too few days to draw one."""
    if len(days) < 2 or not (top := max(amount for _, amount in days)):
        return None
    first, span = days[0][0], (days[-1][0] - days[0][0]).days
    points = [
        f"{round((day - first).days * WIDTH / span)} {HEIGHT - round((HEIGHT - 8) * amount / top)}"
        for day, amount in days
    ]
    path = "M" + " L".join(points)
    return Line(path, f"{path} L{WIDTH} {HEIGHT} L0 {HEIGHT} Z")


def _stacked(things: Sequence[Any], amounts: Sequence[Sequence[tuple[str, int]]]) -> list[Bar]:
    top = max((sum(count for _, count in parts) for parts in amounts), default=0) or 1
    drawn = []
    for thing, parts in zip(things, amounts, strict=True):
        pieces, bottom = [], HEIGHT
        for name, count in parts:
            if count:
                height = max(3, round(HEIGHT * count / top) - 1)
                bottom -= height + 1
                pieces.append(Piece(name, max(0, bottom + 1), height))
        drawn.append(Bar(thing, pieces))
    return drawn
