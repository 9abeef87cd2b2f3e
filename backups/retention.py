"""Which backups of one Database may go, and why: a pure function. docs/retention.md tells the rules in plain words."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

COMPLETED, FAILED, CANCELLED = "completed", "failed", "cancelled"
INCREMENTAL, SELECTIVE = "incremental", "selective"
NOT_ENDED = datetime.max.replace(tzinfo=UTC)

PERIODS: dict[str, tuple[str, Callable[[date], str]]] = {
    "keep_daily": ("daily", lambda day: f"{day:%Y-%m-%d}"),
    "keep_weekly": ("weekly", lambda day: "{0.year}-W{0.week:02}".format(day.isocalendar())),
    "keep_monthly": ("monthly", lambda day: f"{day:%Y-%m}"),
    "keep_yearly": ("yearly", lambda day: f"{day:%Y}"),
}


@dataclass(frozen=True)
class Fact:
    """What is known of one backup. A `status` that is none of the three above has not ended yet.

    `sound`: a copy is stored and not known to be damaged. `read`: a run reads it, or is about to. `held_until`: its
    store deletes it for nobody before.
    """

    id: str
    status: str
    finished_at: datetime | None
    type: str = "full"
    collection: str = ""
    parent: str | None = None
    locked: bool = False
    read: bool = False
    sound: bool = True
    proven_at: datetime | None = None
    held_until: datetime | None = None


@dataclass(frozen=True)
class Limits:
    """0 is off. `retention_days` and `max_backups` are limits, `keep_*` keep, `failed_days` is the age of history."""

    retention_days: int = 0
    max_backups: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0
    failed_days: int = 0


@dataclass
class Verdict:
    """`passed` are the limits behind which a backup lies, `holds` what keeps it all the same.

    `expires_at` is when its age lets a completed one go, where that alone decides. `depth` is how many backups it
    builds on: of those that go, the deepest go first.
    """

    fact: Fact
    depth: int
    good: bool = False  # completed, and it and all it builds on can be read
    newest: str = ""  # the last good one of its like, which is what lets it go
    holds: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    within: str = ""  # why it stays where it has passed no limit
    expires_at: datetime | None = None

    @property
    def goes(self) -> bool:
        return bool(self.passed) and not self.holds

    @property
    def reasons(self) -> tuple[str, ...]:
        """All of them, in words."""
        if self.goes:
            return tuple(f"goes: {reason}" for reason in self.passed)
        kept = self.holds or [self.within]
        return (*(f"kept: {reason}" for reason in kept), *(f"although {reason}" for reason in self.passed))


def decide(facts: Iterable[Fact], *, limits: Limits, timezone: str, now: datetime, held_by: str = "") -> list[Verdict]:
    """A verdict for each fact, newest first. The facts are those of one Database, in any order.

    `held_by` is a backup that is unlike those before it: until somebody has looked at it, nothing goes.
    """
    rows = sorted(facts, key=lambda fact: (fact.finished_at or NOT_ENDED, fact.id), reverse=True)
    verdicts = _judged(rows)
    if held_by:
        for verdict in verdicts.values():
            verdict.holds.append(f"nothing goes before somebody has looked at {held_by}, which is unlike the others")
    # Each is measured against its like: seven backups of one table never push out the last whole one.
    alike = sorted(verdicts.values(), key=_likeness)
    for _, same in groupby(alike, key=_likeness):
        _decide_alike(list(same), limits, ZoneInfo(timezone), now)
    _hold_parents(verdicts)
    return list(verdicts.values())


def _likeness(verdict: Verdict) -> tuple[bool, str]:
    return verdict.fact.type == SELECTIVE, verdict.fact.collection


def _judged(rows: list[Fact]) -> dict[str, Verdict]:
    """Each with its depth and whether it is good, in the given order."""
    by_id = {row.id: row for row in rows}
    verdicts = {}
    for row in rows:
        chain = [row]
        while (parent := by_id.get(chain[-1].parent or "")) and len(chain) <= len(rows):
            chain.append(parent)
        whole = chain[-1].parent is None and chain[-1].type != INCREMENTAL
        good = whole and all(fact.status == COMPLETED and fact.sound for fact in chain)
        verdicts[row.id] = Verdict(row, depth=len(chain) - 1, good=good)
    return verdicts


def _decide_alike(same: list[Verdict], limits: Limits, zone: ZoneInfo, now: datetime) -> None:
    """`same` is newest first."""
    completed = [verdict for verdict in same if verdict.fact.status == COMPLETED]
    # What ended in the future was written by a clock that ran ahead: it never goes, and it pushes nothing out.
    ended = [verdict for verdict in completed if _finished(verdict) <= now]
    good = [verdict for verdict in ended if verdict.good]
    failed = next((verdict for verdict in same if verdict.fact.status == FAILED), None)
    failing = failed if failed and not (good and _finished(good[0]) >= _finished(failed)) else None
    newest = next(iter(good or ended), None)
    for verdict in same:
        verdict.newest = newest.fact.id if newest else ""
        if verdict.fact.locked:
            verdict.holds.append("it is locked")
        if verdict.fact.status in (FAILED, CANCELLED):
            _age_history(verdict, limits.failed_days, now)
        elif verdict.fact.status != COMPLETED:
            verdict.holds.append("it has not ended")
    if failing:
        failing.holds.append("nothing was completed after it")
    for verdict in completed:
        _hold_itself(verdict, failing, now)
    _measure(ended, limits, now)
    _hold_last(ended, good)
    _hold_periods(good, limits, zone)
    for verdict in ended:
        _foresee(verdict, limits.retention_days, is_last=verdict is ended[0], now=now)
    for verdict in same:
        _hold_stored(verdict, now)


def _age_history(verdict: Verdict, days: int, now: datetime) -> None:
    if days and now - _finished(verdict) > timedelta(days=days):
        verdict.passed.append(f"{verdict.fact.status} more than {days} days ago")
    verdict.within = f"{verdict.fact.status} ones are kept {f'{days} days' if days else 'for ever'}"


def _hold_itself(verdict: Verdict, failing: Verdict | None, now: datetime) -> None:
    if verdict.fact.read:
        verdict.holds.append("it is being read")
    if _finished(verdict) > now:
        verdict.holds.append("it ended in the future: the clock was set back")
    if failing:
        verdict.holds.append(f"newer ones only failed, the last of them {failing.fact.id}")


def _measure(ended: list[Verdict], limits: Limits, now: datetime) -> None:
    """Only good ones are counted; all are measured."""
    days, count = limits.retention_days, limits.max_backups
    newer = 0
    for verdict in ended:
        if days and now - _finished(verdict) > timedelta(days=days):
            verdict.passed.append(f"older than {days} days")
        if count and newer >= count:
            verdict.passed.append(f"beyond the newest {count}")
        newer += verdict.good
        verdict.within = "it has passed no limit" if days or count else "no limit is set"


def _hold_last(ended: list[Verdict], good: list[Verdict]) -> None:
    for verdict in ended[:1]:
        verdict.holds.append("the last completed one")
    if good and good[0] is not ended[0]:
        good[0].holds.append("the last completed one that can be read")
    proven = [verdict for verdict in good if verdict.fact.proven_at]
    if proven:
        max(proven, key=lambda verdict: verdict.fact.proven_at or NOT_ENDED).holds.append("the last proven one")


def _hold_periods(good: list[Verdict], limits: Limits, zone: ZoneInfo) -> None:
    wanted = [(word, period, count) for name, (word, period) in PERIODS.items() if (count := getattr(limits, name))]
    for word, period, count in wanted:
        newest: dict[str, Verdict] = {}
        for verdict in good:
            newest.setdefault(period(_finished(verdict).astimezone(zone).date()), verdict)
            if len(newest) > count:
                break
        for key in list(newest)[:count]:
            newest[key].holds.append(f"{word} of {key}")


def _hold_stored(verdict: Verdict, now: datetime) -> None:
    """What the store holds cannot go before, whatever the limits say; after that it may."""
    held = verdict.fact.held_until
    if held and held > now:
        verdict.holds.append(f"the store holds it until {held:%Y-%m-%d %H:%M} UTC")
        verdict.expires_at = max(verdict.expires_at, held) if verdict.expires_at else None


def _foresee(verdict: Verdict, days: int, *, is_last: bool, now: datetime) -> None:
    """A newer one is expected to have come before the last one's age ends."""
    expected = _finished(verdict) + timedelta(days=days)
    alone = not verdict.holds or (is_last and len(verdict.holds) == 1 and expected > now)
    verdict.expires_at = expected if days and alone else None


def _hold_parents(verdicts: dict[str, Verdict]) -> None:
    """What stays holds all it builds on; a parent's age ends with the last of its children."""
    for verdict in sorted(verdicts.values(), key=lambda verdict: verdict.depth, reverse=True):
        parent = verdicts.get(verdict.fact.parent or "")
        if parent is None or verdict.fact.status in (FAILED, CANCELLED):
            continue  # history builds on nothing
        if not verdict.goes:
            parent.holds.append(f"{verdict.fact.id} builds on it")
        known = parent.expires_at and verdict.expires_at
        parent.expires_at = max(known, parent.expires_at or known) if known else None


def _finished(verdict: Verdict) -> datetime:
    return verdict.fact.finished_at or NOT_ENDED
