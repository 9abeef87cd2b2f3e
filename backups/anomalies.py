"""Whether a backup is like those before it: a pure function. docs/anomalies.md tells the rules in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import expm1, log, log1p, sqrt
from statistics import median

from backups.anomaly_levels import Change, Key, Level, Measure, folded

FEWEST = 5  # of its like before anything can be unlike them
WINDOW = 30
MOST_ITEMS = 1000
SAME_AGAIN = log(1.35)  # as near as a level that was seen before, or that somebody said is right
RESTLESS = 0.43  # beyond it nothing can be expected of the next one
FAR = log(20)
SIGMA = 1.4826  # of a normal distribution, in median absolute deviations


@dataclass(frozen=True)
class Finding:
    """`low` and `high` are the usual band. An item whose name ends in numbers that come and go has `#` for them."""

    measure: Measure
    name: str
    change: Change
    found: int
    previous: int
    low: int
    high: int


@dataclass(frozen=True)
class Bounds:
    """A change by more than these parts is one, unless the history is as restless: `spreads` of it are usual."""

    whole: float
    item: float
    spreads: float

    def width(self, measure: Measure) -> float:
        part = self.item if measure in (Measure.ITEM, Measure.DELETED) else self.whole
        return -log(1 - part)


BOUNDS = {
    "low": Bounds(whole=0.5, item=0.7, spreads=10),
    "normal": Bounds(whole=0.3, item=0.4, spreads=7),
    "high": Bounds(whole=0.15, item=0.25, spreads=5),
}


def judge(now: Level, history: Sequence[Level], *, sensitivity: str, part: bool = False) -> list[Finding]:
    """What is unlike the history, which is oldest first and of the same kind; the worst first.

    `part`: an incremental, which is as small as little has changed: only what grows is looked at, and its state.
    """
    bounds = BOUNDS.get(sensitivity)
    if bounds is None or len(history) < FEWEST:
        return []
    *past, present = folded([*history, now])
    found = [_judged(key, present, past, bounds, part=part) for key in _keys(present, past)]
    return sorted(filter(None, found), key=_weight)


def _keys(present: Level, past: Sequence[Level]) -> list[Key]:
    """The items with most in them where there are too many."""
    known = dict(past[-1].figures) | dict(present.figures)
    items = sorted((key for key in known if key[0] == Measure.ITEM), key=lambda key: -known[key])[:MOST_ITEMS]
    return [*(key for key in known if key[0] != Measure.ITEM), *items]


def _judged(key: Key, present: Level, past: Sequence[Level], bounds: Bounds, *, part: bool) -> Finding | None:
    measure, name = key
    value, before = present.figures.get(key), past[-1].figures.get(key)
    if (value is None and measure != Measure.ITEM) or name in present.unknown:
        return None
    found, width = value or 0, bounds.width(measure)
    if before is not None and (found or not before) and _apart(found, before) <= width / 2:
        return None  # what is as before has neither fallen nor jumped: most are, and this is cheap
    series, right = _series(key, past)
    if len(series) < FEWEST or (value is None and before is None):
        return None
    since = _since_right(series, right)
    centre, spread = _band(since if len(since) >= FEWEST else series, width, bounds.spreads)
    low, high = _figure(centre - spread), _figure(centre + spread)

    def finding(change: Change) -> Finding:
        return Finding(measure, name, change, found, series[-1], low, high)

    falls = not part or measure == Measure.STATE
    if found == 0 and falls:
        return None if 0 in series else finding(Change.GONE if value is None else Change.EMPTIED)
    if _usual(found, series, centre, spread, measure, bounds):
        return None
    change = Change.JUMP if log1p(found) > centre else Change.FALL
    if (change is Change.FALL and not falls) or _known(found, series, right, change, width):
        return None
    return finding(change)


def _series(key: Key, past: Sequence[Level]) -> tuple[list[int], list[Change | None]]:
    """From the first time on that there was anything: an item begins empty."""
    pairs = [(level.figures[key], level.right.get(key)) for level in past if key in level.figures]
    begun = next((at for at, (value, _) in enumerate(pairs) if value), len(pairs))
    return [value for value, _ in pairs[begun:]], [right for _, right in pairs[begun:]]


def _band(series: Sequence[int], width: float, spreads: float) -> tuple[float, float]:
    """Where the next one is expected, and how far from there is usual; both in logarithms.

    The trend is the median of the slopes between each and the one half the history later, the spread the median of
    what lies beside it: a few that were unlike the others move neither. What is too restless for
    that is unusual only far below the least, or far above the most, that it ever was.
    """
    logs = [log1p(value) for value in series[-WINDOW:]]
    half = max(1, len(logs) // 2)
    slope = median((later - earlier) / half for earlier, later in zip(logs, logs[half:], strict=False))
    base = median(value - slope * at for at, value in enumerate(logs))
    beside = median(abs(value - slope * at - base) for at, value in enumerate(logs))
    if SIGMA * beside > RESTLESS:
        return (min(logs) + max(logs)) / 2, (max(logs) - min(logs)) / 2 + FAR
    return base + slope * len(logs), max(width, spreads * SIGMA * beside)


def _usual(found: int, series: Sequence[int], centre: float, spread: float, measure: Measure, bounds: Bounds) -> bool:
    """Within the band, or so little beside it that it says nothing: small numbers dance."""
    expected = max(expm1(centre), 0.0)
    if measure in (Measure.SIZE, Measure.STORED):
        little = min(65536.0, expected / 2)
    else:
        little = max(20.0, bounds.spreads * sqrt(expected))
    beside = min(abs(found - expected), abs(found - median(series)))
    return abs(log1p(found) - centre) <= spread or beside <= little


def _known(
    found: int,
    series: Sequence[int],
    right: Sequence[Change | None],
    change: Change,
    width: float,
) -> bool:
    """Said to be right before, or come back to: left and reached again, as each weekend or each month does."""
    same = [_apart(found, value) <= SAME_AGAIN for value in series]
    if any(near and said is not None and said.up == change.up for near, said in zip(same, right, strict=True)):
        return True
    if sum(near for near, _ in groupby(same)) > 1:
        return True
    since = _since_right(series, right)
    return len(since) < FEWEST and abs(log1p(found) - log1p(median(since))) <= width


def _since_right(series: Sequence[int], right: Sequence[Change | None]) -> Sequence[int]:
    """From the last level on that somebody said is right: a new level is a new history."""
    said_at = next((at for at in range(len(right) - 1, -1, -1) if right[at] is not None), 0)
    return series[said_at:]


def _apart(one: int, other: int) -> float:
    return abs(log1p(one) - log1p(other))


def _figure(logarithm: float) -> int:
    return max(0, round(expm1(min(logarithm, 43.0))))  # more than any store holds


def _weight(finding: Finding) -> tuple[bool, float, str]:
    lost = finding.change in (Change.EMPTIED, Change.GONE)
    return not lost, -_apart(finding.found, finding.previous), finding.name
