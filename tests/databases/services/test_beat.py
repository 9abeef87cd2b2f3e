"""Beat's rows follow the schedules, and drift from them is seen and mended."""

from pathlib import Path

import pytest
from celery import current_app
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from databases.models import Database, Policy
from databases.services.beat import TASK, drift, keep_in_step
from databases.services.delete import delete_database
from databases.services.save import save_database
from tests.api import make_destination

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _destination(tmp_path: Path) -> None:
    make_destination(tmp_path)


def nightly(name: str = "shop", **values: object) -> Database:
    given = {"name": name, "engine": "postgres", "host": "db", "database_name": name, "username": "u"}
    return save_database(database=Database(pk=name), values={**given, "schedule": "0 3 * * *", **values}, create=True)


def rings() -> dict[str, str]:
    return {row.name: str(row.crontab).split(" (")[0] for row in PeriodicTask.objects.filter(task=TASK)}


def test_the_task_it_rings_exists() -> None:
    current_app.loader.import_default_modules()
    assert TASK in current_app.tasks


def test_a_scheduled_database_has_a_row_for_each_cron() -> None:
    nightly(schedule=["0 3 * * *", "30 15 * * 1-5"], timezone="Asia/Kolkata")
    assert list(rings()) == ["schedule:shop:0", "schedule:shop:1"]
    assert {str(when.timezone) for when in CrontabSchedule.objects.all()} == {"Asia/Kolkata"}
    assert drift() == []


@pytest.mark.parametrize("values", [{"schedule": None}, {"enabled": False}, {"schedule": "inherit"}])
def test_a_database_that_is_no_longer_scheduled_has_none(values: dict[str, object]) -> None:
    save_database(database=nightly(), values=values, create=False)
    assert rings() == {}
    assert not CrontabSchedule.objects.exists()


def test_a_changed_schedule_changes_its_row_and_no_other() -> None:
    other = nightly("other")
    before = PeriodicTask.objects.get(name=f"schedule:{other.pk}:0").pk
    save_database(database=nightly(), values={"schedule": "@daily"}, create=False)
    assert rings()["schedule:shop:0"].startswith("0 0 * * *")
    assert PeriodicTask.objects.get(name="schedule:other:0").pk == before


def test_a_deleted_database_takes_its_row_along() -> None:
    delete_database(database=nightly())
    assert rings() == {}


def test_what_celerys_cron_does_not_understand_is_left_to_the_sweeper() -> None:
    nightly(schedule=["0 3 L * *", "0 4 * * *"])
    assert list(rings()) == ["schedule:shop:1"]
    assert drift() == []


def test_an_inherited_schedule_rings_as_the_policy_says() -> None:
    nightly(schedule="inherit")
    Policy.objects.create(schedule="0 5 * * *")
    assert drift() == ["schedule:shop:0"]
    assert keep_in_step() == 1
    assert drift() == []


def test_edits_behind_its_back_are_seen_and_mended() -> None:
    nightly()
    nightly("gone")
    Database.objects.filter(pk="gone").delete()
    Database.objects.create(pk="restored", name="r", engine="postgres", schedule="0 1 * * *")
    PeriodicTask.objects.filter(name="schedule:shop:0").update(enabled=False)
    assert drift() == ["schedule:gone:0", "schedule:restored:0", "schedule:shop:0"]
    assert keep_in_step() == 3
    assert drift() == []
    assert keep_in_step() == 0
