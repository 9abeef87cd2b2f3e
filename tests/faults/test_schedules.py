"""Days that months lack, times that were missed, timezones and both changes of the clocks: one run a due time.

Through the sweeper's own step with a clock that is moved, as a site lives through it.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from backups.models import Backup, Slot
from backups.services.schedule import ensure_slots
from jobs.models import Status
from tests.api import make_database, make_destination

pytestmark = pytest.mark.django_db
ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo")
Live = Callable[[datetime, datetime, timedelta], None]


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Live:
    """`live(start, end, step)`: a round of the sweeper at each step; backups end at once."""
    make_destination(tmp_path)

    def through(start: datetime, end: datetime, step: timedelta) -> None:
        now = start
        while now <= end:
            monkeypatch.setattr("django.utils.timezone.now", lambda at=now: at)
            if ensure_slots():
                Backup.objects.update(status=Status.COMPLETED)
            now += step

    return through


def runs(pk: str) -> list[datetime]:
    """Due times that led to a backup."""
    slots = Slot.objects.filter(database=pk, backup__isnull=False).order_by("due_at")
    return list(slots.values_list("due_at", flat=True))


def changes(zone: str) -> Iterator[tuple[datetime, datetime]]:
    """The two changes of 2026: when, and a wall time that it skips or repeats (a quarter of an hour into it)."""
    at, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    while at < end:
        later = at + timedelta(minutes=30)
        before, after = (moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in (at, later))
        assert before is not None
        assert after is not None
        if before != after:
            yield later, (later + min(before, after)).replace(tzinfo=None) + timedelta(minutes=15)
        at = later


@pytest.mark.parametrize("which", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("zone", ZONES)
def test_a_change_of_the_clocks_gives_one_run_a_due_time(live: Live, zone: str, which: int) -> None:
    found = list(changes(zone))
    assert len(found) == 2
    at, wall = found[which]
    start, end = at - timedelta(hours=28), at + timedelta(hours=28)
    crons = {
        "hourly": f"{wall:%M} * * * *",
        "daily": f"{wall:%M %H} * * *",
        "weekly": f"{wall:%M %H} * * {wall.isoweekday() % 7}",
    }
    for pk, cron in crons.items():
        make_database(pk=pk, schedule=cron, timezone=zone, scheduled_since=start)
    live(start.replace(minute=wall.minute), end, timedelta(minutes=30))

    local = [due.astimezone(ZoneInfo(zone)) for due in runs("daily")]
    days = [due.date() for due in local]
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))], "one run a day"
    assert wall.date() in days
    assert all((due.hour, due.minute) == (wall.hour, wall.minute) for due in local if due.date() != wall.date())

    [week] = runs("weekly")
    assert week.astimezone(ZoneInfo(zone)).date() == wall.date()
    assert week in runs("daily")

    hours = runs("hourly")
    gaps = {later - earlier for earlier, later in pairwise(hours)}
    half = {timedelta(minutes=minutes) for minutes in (30, 60, 90)}  # where the clocks are moved by half an hour
    assert gaps <= (half if zone == "Australia/Lord_Howe" else {timedelta(hours=1)})
    assert end - start - timedelta(hours=3) <= hours[-1] - hours[0]


@pytest.mark.parametrize(
    ("zone", "winter", "summer"), [("Asia/Kolkata", "21:00", "21:00"), ("America/New_York", "07:30", "06:30")]
)
def test_a_schedule_is_meant_in_its_own_timezone(live: Live, zone: str, winter: str, summer: str) -> None:
    for month, at in ((1, winter), (7, summer)):
        start = datetime(2026, month, 10, 12, tzinfo=UTC)
        make_database(pk=f"in-{month}", schedule="30 2 * * *", timezone=zone, scheduled_since=start)
        live(start, start + timedelta(days=1), timedelta(hours=1))
        assert [f"{due:%H:%M}" for due in runs(f"in-{month}")] == [at]
        Slot.objects.all().delete()
        Backup.objects.all().delete()


def test_day_31_runs_in_every_month_that_has_one_and_in_no_other(live: Live) -> None:
    start = datetime(2026, 1, 1, 3, 1, tzinfo=UTC)
    make_database(schedule="0 3 31 * *", scheduled_since=start)
    live(start, start + timedelta(days=400), timedelta(days=1))
    assert [due.month for due in runs("shop")] == [1, 3, 5, 7, 8, 10, 12, 1]
    assert {due.day for due in runs("shop")} == {31}


@pytest.mark.parametrize(
    ("cron", "due"),
    [("0 3 * * 0", datetime(2026, 3, 8, 3, tzinfo=UTC)), ("0 3 31 * *", datetime(2026, 3, 31, 3, tzinfo=UTC))],
)
def test_a_rare_due_time_in_an_outage_is_caught_up_once(live: Live, cron: str, due: datetime) -> None:
    make_database(schedule=cron, scheduled_since=due - timedelta(days=3))
    live(due - timedelta(days=2), due - timedelta(days=1), timedelta(hours=6))
    assert runs("shop") == []
    live(due + timedelta(days=2), due + timedelta(days=4), timedelta(hours=6))
    assert runs("shop") == [due]
    assert Slot.objects.get().outcome == Slot.Outcome.CAUGHT_UP
    assert Backup.objects.get().trigger == Backup.Trigger.CATCH_UP
