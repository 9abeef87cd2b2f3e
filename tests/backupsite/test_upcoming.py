"""The next 24 hours on the first page: each due time in its hour, the soonest by name."""

from datetime import UTC, datetime
from typing import Any

from backups.standing import Standing
from backupsite.dashboard.upcoming import NEXT, upcoming

NOW = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)  # the night in which clocks go forward in Europe


def standing(name: str, *crons: str, **values: Any) -> Standing:
    """Of a Database that has these times."""
    shared = {"pk": name.lower(), "name": name, "engine": "postgres", "enabled": True, "built_in": False}
    nothing = dict.fromkeys(("good_at", "proven_at", "overdue_since", "drill_overdue_since", "muted_until", "failure"))
    given = {"timezone": "UTC", "drill_crons": (), "paused": False, "held": False, "crons": crons}
    return Standing(**{**shared, **nothing, **given, **values})


def test_backups_and_drills_stand_in_their_hours_and_what_is_disabled_does_not() -> None:
    found = upcoming(
        [
            standing("Shop", "30 3 * * *", drill_crons=("0 4 * * *",)),
            standing("Madrid", "30 3 * * *", timezone="Europe/Madrid"),
            standing("Off", "* * * * *", enabled=False),
        ],
        now=NOW,
    )
    assert [(due.of.name, due.drill, f"{due.at:%H:%M}") for due in found.soonest] == [
        ("Madrid", False, "01:30"),
        ("Shop", False, "03:30"),
        ("Shop", True, "04:00"),
    ]
    assert [(hour.at.hour, hour.backups, hour.drills) for hour in found.hours if hour.total] == [
        (1, 1, 0),
        (3, 1, 0),
        (4, 0, 1),
    ]
    assert (found.databases, found.total) == (2, 3)


def test_a_few_are_named_and_all_are_counted() -> None:
    found = upcoming([standing("Busy", "*/30 * * * *")], now=NOW)
    assert (len(found.soonest), found.total, found.databases) == (NEXT, 47, 1)


def test_where_nothing_is_due_the_first_one_after_that_is_known() -> None:
    found = upcoming([standing("Monthly", "0 0 1 * *"), standing("Never")], now=NOW)
    assert found.total == 0
    assert found.first is not None
    assert (found.first.of.name, found.first.at) == ("Monthly", datetime(2026, 4, 1, tzinfo=UTC))
