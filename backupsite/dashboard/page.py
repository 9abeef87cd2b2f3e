"""The whole first page, read once and put together; a constant number of queries, whatever there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from backups.models import Destination
from backups.standing import Standing, standings
from backupsite.dashboard.charts import Bar, Line, bars, hour_bars, line
from backupsite.dashboard.days import Recent, Runs, runs_by_day, strips
from backupsite.dashboard.health import Chip, health
from backupsite.dashboard.running import Now, running
from backupsite.dashboard.storage import Place, Stored, places, stored
from backupsite.dashboard.upcoming import Upcoming, upcoming
from backupsite.dashboard.verdict import Verdict, verdict
from jobs.roles import Role
from jobs.templatetags.parts import Day

STRIPS = 16  # Databases whose days are shown, what is amiss first
NAMED = 5  # failing and overdue ones


@dataclass(frozen=True)
class Strip:
    of: Standing
    days: list[Day]


@dataclass(frozen=True)
class Step:
    """One of the four steps to the first proven backup."""

    name: str
    done: bool


@dataclass(frozen=True)
class Dashboard:
    verdict: Verdict
    health: list[Chip]
    counts: dict[str, int]
    recent: Recent
    stored: Stored
    stored_line: Line | None
    upcoming: Upcoming
    hours: list[Bar]
    now: Now
    strips: list[Strip]
    failing: list[Standing]
    overdue: list[Standing]
    places: list[Place]
    runs: list[Runs]
    bars: list[Bar]
    steps: list[Step]
    fresh: bool  # nothing was ever backed up: only the steps are shown

    @property
    def steps_done(self) -> bool:
        return all(step.done for step in self.steps)

    @property
    def only_local(self) -> bool:
        """Whether all artefacts are on disks of the hosts that run the workers."""
        return all(place.destination.kind == Destination.Kind.LOCAL for place in self.places)


def read_dashboard(*, role: Role) -> Dashboard:
    now, known, found = timezone.now(), standings(), places()
    chips = health(role=role, destinations=[place.destination for place in found])
    due = upcoming(known, now=now)
    runs, recent = runs_by_day()
    amount = stored(found)
    mine = [one for one in known if not one.built_in]
    return Dashboard(
        verdict=verdict(
            known,
            paused=any(one.paused for one in known),
            shut=sum(place.tone == "bad" for place in found),
            health=chips,
        ),
        health=chips,
        counts=_counts(known),
        recent=recent,
        stored=amount,
        stored_line=line(amount.days),
        upcoming=due,
        hours=hour_bars(due.hours),
        now=running(with_drills=True),
        strips=_strips(known),
        failing=sorted((one for one in known if one.failing), key=_failed_last),
        overdue=sorted((one for one in known if one.overdue), key=lambda one: (one.overdue_since, one.name)),
        places=found,
        runs=runs,
        bars=bars(runs),
        steps=_steps(found, mine),
        fresh=all(one.good_at is None and one.failure is None for one in mine),
    )


def _counts(known: Sequence[Standing]) -> dict[str, int]:
    enabled = [one for one in known if one.enabled]
    return {
        "all": len(known),
        "databases": len(enabled),
        "protected": sum(one.protected for one in enabled),
        "unprotected": sum(one.unprotected for one in enabled),
        "proven": sum(one.proven for one in enabled),
        "drill_overdue": sum(one.drill_overdue_since is not None for one in enabled),
    }


def _strips(known: Sequence[Standing]) -> list[Strip]:
    """What is amiss first: a site of thousands shows those that somebody has to look at."""

    def amiss(one: Standing) -> tuple[bool, bool, bool, str]:
        return not one.enabled, not one.unprotected, not one.failing, one.name.lower()

    shown = sorted(known, key=amiss)[:STRIPS]
    days = strips([one.pk for one in shown])
    return [Strip(one, days[one.pk]) for one in shown]


def _failed_last(one: Standing) -> Any:
    at = one.failed_at
    return (-at.timestamp() if at else 0.0, one.name)


def _steps(found: Sequence[Place], mine: Sequence[Standing]) -> list[Step]:
    return [
        Step("destination", bool(found)),
        Step("database", bool(mine)),
        Step("backup", any(one.good_at is not None for one in mine)),
        Step("drill", any(one.proven_at is not None for one in mine)),
    ]
