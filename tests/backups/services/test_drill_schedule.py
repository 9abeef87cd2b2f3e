"""Slots of drills, and what is told when nothing was proven in time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backups.models import Backup, Destination, Drill, DrillOverdue, DrillPlan, DrillSlot
from backups.pipeline.keys import generate_identity
from backups.selectors import readers_of
from backups.services import drill_overdue
from backups.services.drill_overdue import tell_drill_overdue
from backups.services.drill_schedule import ensure_drill_slots
from backups.services.forget_slots import forget_old_slots
from backups.services.save_drill_plan import save_drill_plan
from backups.services.wait_for_identity import give_identity
from databases.engines import registry
from databases.models import Database, Policy
from jobs.errors import BackupError
from jobs.fields import unseal
from jobs.models import Status
from jobs.services.cancel import cancel_job
from jobs.services.ring import ring_waiting
from jobs.services.sweep import promote
from notifications.models import Event
from tests.api import api, make_backup, make_database, make_destination
from tests.backups.paper import PaperEngine

pytestmark = pytest.mark.django_db
DUE = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)

Clock = Callable[[datetime], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    def at(now: datetime) -> None:
        monkeypatch.setattr("django.utils.timezone.now", lambda: now)

    return at


@pytest.fixture
def nightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Database:
    """With a good backup; its drills are due at 3 o'clock since yesterday, and it is five seconds past."""
    monkeypatch.setitem(registry.ENGINES, "paper", PaperEngine)
    database = make_database(engine="paper", created_at=DUE - 90 * DAY)
    Database.objects.update(created_at=DUE - 90 * DAY)
    make_backup(database, destination=make_destination(tmp_path))
    DrillPlan.objects.create(database=database, schedule="0 3 * * *", scheduled_since=DUE - timedelta(hours=20))
    clock(DUE + timedelta(seconds=5))
    return database


def slots() -> list[tuple[datetime, str, str]]:
    return [(slot.due_at, slot.outcome, slot.reason) for slot in DrillSlot.objects.order_by("due_at")]


def test_a_due_time_is_drilled_once(nightly: Database, clock: Clock) -> None:
    clock(DUE - timedelta(seconds=1))
    assert ensure_drill_slots() == 0
    clock(DUE + timedelta(seconds=5))
    assert [ensure_drill_slots(), ensure_drill_slots()] == [1, 0]
    assert slots() == [(DUE, "requested", "")]
    assert Drill.objects.get().trigger == Drill.Trigger.SCHEDULE


def test_after_an_outage_one_drill_stands_for_all_that_were_missed(nightly: Database, clock: Clock) -> None:
    clock(DUE + 3 * DAY + timedelta(hours=1))
    assert ensure_drill_slots() == 4
    assert [outcome for _, outcome, _ in slots()] == ["skipped", "skipped", "skipped", "caught_up"]
    assert Drill.objects.get().trigger == Drill.Trigger.CATCH_UP


def test_a_time_is_skipped_while_an_earlier_drill_waits(nightly: Database, clock: Clock) -> None:
    ensure_drill_slots()
    clock(DUE + DAY)
    ensure_drill_slots()
    assert slots()[-1] == (DUE + DAY, "skipped", "an earlier drill still waits or runs")


def test_a_time_is_skipped_while_schedules_are_paused(nightly: Database) -> None:
    Policy.objects.create(paused=True)
    ensure_drill_slots()
    assert slots() == [(DUE, "skipped", "schedules are paused")] and not Drill.objects.exists()


def test_a_time_is_skipped_with_the_reason_when_there_is_nothing_to_drill(nightly: Database) -> None:
    Backup.objects.update(status=Status.EXPIRED)
    ensure_drill_slots()
    [(_, outcome, reason)] = slots()
    assert outcome == "skipped" and reason.startswith("There is no backup of shop to drill")


class TestWithoutTheKey:
    @pytest.fixture
    def waiting(self, nightly: Database, settings: Any) -> Drill:
        settings.BACKUPSITE_AGE_IDENTITIES = settings.BACKUPSITE_DRILL_IDENTITIES = []
        Backup.objects.update(encryption="age")
        assert ensure_drill_slots() == 1
        return Drill.objects.get()

    def test_the_drill_waits_for_it_and_says_so_once(self, waiting: Drill, clock: Clock) -> None:
        assert slots() == [(DUE, "requested", "")]
        assert (waiting.waits_for_identity, waiting.status) == (True, Status.SCHEDULED)
        assert [event.kind for event in Event.objects.all()] == ["drill.waiting"]
        assert promote() == 0
        clock(DUE + DAY)
        ensure_drill_slots()
        assert slots()[-1][1:] == ("skipped", "an earlier drill waits for the age secret key")
        assert (Drill.objects.count(), Event.objects.count()) == (1, 1)

    def test_it_holds_no_backup_meanwhile(self, waiting: Drill) -> None:
        assert waiting.backup is not None
        assert readers_of(waiting.backup) == []
        Drill.objects.update(scheduled_at=DUE)  # one that comes back for its next attempt does
        assert readers_of(waiting.backup) == [waiting.pk]

    def test_the_key_begins_it_with_what_is_newest_then(self, waiting: Drill, nightly: Database) -> None:
        assert waiting.backup is not None
        later = {"created_at": waiting.backup.created_at + timedelta(seconds=1), "encryption": "age"}
        newer = make_backup(nightly, destination=Destination.objects.get(), **later)
        key, _ = generate_identity()
        begun = give_identity(drill=waiting, identity=key)
        assert (begun.status, begun.backup_label, unseal(begun.identity)) == (Status.PENDING, newer.pk, key)
        with pytest.raises(BackupError) as raised:
            give_identity(drill=waiting, identity=key)
        assert raised.value.code == "wrong_state"

    def test_no_key_begins_nothing(self, waiting: Drill) -> None:
        with pytest.raises(BackupError) as raised:
            give_identity(drill=waiting)
        assert raised.value.code == "missing_key"
        assert Drill.objects.get().waits_for_identity

    def test_a_key_that_the_site_was_given_since_begins_it_at_the_next_due_time(
        self, waiting: Drill, clock: Clock, settings: Any
    ) -> None:
        settings.BACKUPSITE_DRILL_IDENTITIES = [generate_identity()[0]]
        clock(DUE + DAY)
        ensure_drill_slots()
        assert Drill.objects.get().status == Status.PENDING

    def test_it_can_be_cancelled(self, waiting: Drill) -> None:
        assert cancel_job(job=waiting).status == Status.CANCELLED

    def test_operators_give_it_over_http(self, waiting: Drill) -> None:
        path, key = f"/api/drills/{waiting.pk}/identity", generate_identity()[0]
        assert api("operator").get(f"/api/drills/{waiting.pk}").json()["waits_for_identity"] is True
        assert api("viewer").post(path, {"identity": key}, format="json").status_code == 403
        assert api("operator").post(path, {"identity": "nothing like it"}, format="json").status_code == 400
        answer = api("operator").post(path, {"identity": key}, format="json")
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")
        assert key not in answer.content.decode()
        assert api("operator").post(path, {"identity": key}, format="json").status_code == 409


def test_a_disabled_database_is_not_drilled(nightly: Database) -> None:
    Database.objects.update(enabled=False)
    assert ensure_drill_slots() == 0


def test_a_changed_schedule_invents_no_past(nightly: Database) -> None:
    save_drill_plan(database=nightly, values={"schedule": "0 2 * * *"})
    assert ensure_drill_slots() == 0


@pytest.mark.parametrize(("month", "day"), [(3, 29), (10, 25)])
def test_each_change_of_the_clock_has_one_drill(nightly: Database, clock: Clock, month: int, day: int) -> None:
    """02:30 does not exist on the one Sunday and comes twice on the other."""
    midnight = datetime(2026, month, day, tzinfo=UTC) - timedelta(hours=2)
    Database.objects.update(timezone="Europe/Berlin")
    DrillPlan.objects.update(schedule="30 2 * * *", scheduled_since=midnight)
    found = 0
    for minute in range(0, 6 * 60, 10):
        clock(midnight + timedelta(minutes=minute))
        found += ensure_drill_slots()
    assert found == 1 == DrillSlot.objects.count()


def test_a_fleet_is_looked_at_in_a_constant_number_of_queries(nightly: Database, tmp_path: Path) -> None:
    def queries(step: Callable[[], int]) -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            step()
        return len(seen)

    ensure_drill_slots()
    Drill.objects.update(status=Status.IN_PROGRESS)  # no room for another one
    few = [queries(step) for step in (ensure_drill_slots, tell_drill_overdue, ring_waiting)]
    for number in range(8):
        database = make_database(f"db{number}", engine="paper")
        DrillPlan.objects.create(database=database, schedule="0 3 * * *", scheduled_since=DUE + timedelta(seconds=1))
        Drill.objects.create(database=database, database_name="x", backup_label="x")
    assert [queries(step) for step in (ensure_drill_slots, tell_drill_overdue, ring_waiting)] == few


def test_old_slots_are_forgotten_but_for_the_newest(nightly: Database, clock: Clock) -> None:
    for days in (500, 450, 10):
        DrillSlot.objects.create(database=nightly, due_at=DUE - days * DAY, outcome="skipped")
    assert forget_old_slots() == 2
    clock(DUE + 600 * DAY)
    assert forget_old_slots() == 0 and DrillSlot.objects.count() == 1


# Overdue


def test_it_is_told_once_that_nothing_was_proven_in_time(nightly: Database) -> None:
    Policy.objects.create(drill_within_days=30)
    assert [tell_drill_overdue(), tell_drill_overdue()] == [1, 0]
    event = Event.objects.get(kind="drill.overdue")
    assert "within 30 days; none ever was" in event.message and event.database_id == "shop"


def test_a_site_where_every_question_takes_long_is_told_one_after_the_other(
    nightly: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    Policy.objects.create(drill_within_days=30)
    monkeypatch.setattr(drill_overdue, "ROUND_S", -1.0)
    assert [tell_drill_overdue() for _ in range(2)] == [1, 0]


def test_it_is_forgotten_when_a_backup_was_proven_and_told_again_later(nightly: Database, clock: Clock) -> None:
    Policy.objects.create(drill_within_days=30)
    tell_drill_overdue()
    Backup.objects.update(proven_at=DUE)
    assert tell_drill_overdue() == 1 and not DrillOverdue.objects.exists()
    clock(DUE + 30 * DAY)
    assert tell_drill_overdue() == 0
    clock(DUE + 31 * DAY)
    assert tell_drill_overdue() == 1
    assert Event.objects.filter(kind="drill.overdue").count() == 2


@pytest.mark.parametrize(
    ("site", "own", "told"), [(30, None, 1), (0, None, 0), (30, 0, 0), (0, 10, 1), (30, 100, 0), (100, 10, 1)]
)
def test_a_plan_goes_before_the_policy_and_0_is_never(nightly: Database, site: int, own: int | None, told: int) -> None:
    Policy.objects.create(drill_within_days=site)
    DrillPlan.objects.update(within_days=own)
    assert tell_drill_overdue() == told


def test_what_needs_no_drill_any_more_is_forgotten(nightly: Database) -> None:
    Policy.objects.create(drill_within_days=30)
    tell_drill_overdue()
    Database.objects.update(enabled=False)
    assert tell_drill_overdue() == 1 and not DrillOverdue.objects.exists()


def test_a_new_database_has_as_long_as_any_other(nightly: Database) -> None:
    Policy.objects.create(drill_within_days=30)
    Database.objects.update(created_at=DUE - 29 * DAY)
    assert tell_drill_overdue() == 0


def test_what_cannot_be_drilled_is_never_overdue(nightly: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    Policy.objects.create(drill_within_days=30)
    monkeypatch.setattr(PaperEngine, "supports", frozenset({"full", "restore"}))
    assert tell_drill_overdue() == 0


# The plan


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"schedule": "0 3 * *"}, "schedule"),
        ({"schedule": "inherit"}, "schedule"),
        ({"pick": "oldest"}, "pick"),
        ({"assertions": [{"name": "x"}]}, "assertions"),
        ({"within_days": 100_001}, "within_days"),
    ],
)
def test_a_plan_with_a_fault_is_refused(nightly: Database, values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        save_drill_plan(database=nightly, values=values)
    assert list(refused.value.message_dict) == [field]


def test_a_plan_names_no_server_of_another_engine(nightly: Database) -> None:
    other = make_database("pg")
    with pytest.raises(ValidationError) as refused:
        save_drill_plan(database=nightly, values={"server": other})
    assert list(refused.value.message_dict) == ["server"]
