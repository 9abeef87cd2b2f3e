"""Doorbells: whose turn has come is rung, and a broker that is away holds nobody up."""

from collections.abc import Callable

import pytest
from celery import current_app
from kombu.exceptions import OperationalError

from backups.models import Backup
from jobs.services.ring import ring_waiting

MakeJob = Callable[..., Backup]


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    ids: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: ids.append(args[1]))
    return ids


def test_a_long_queue_of_one_database_does_not_silence_another(make_job: MakeJob, rung: list[str]) -> None:
    first = make_job()
    for _ in range(3):
        Backup.objects.create(database=first.database, database_name="one", engine="postgres")
    other = make_job()
    assert ring_waiting(limit=2) == 2
    assert rung == [first.pk, other.pk]


def test_a_broker_that_is_away_is_asked_once_a_round(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(name: str, args: list[str], **options: object) -> None:
        asked.append(args[1])
        raise OperationalError("away")

    monkeypatch.setattr(current_app, "send_task", refuse)
    first = make_job()
    make_job()
    assert (ring_waiting(), asked) == (0, [first.pk])


def test_the_jobs_of_a_host_that_is_away_do_not_silence_those_of_others(make_job: MakeJob, rung: list[str]) -> None:
    away = [make_job(queue="away") for _ in range(3)]
    here = make_job()
    assert ring_waiting(limit=2) == 3
    assert set(rung) == {away[0].pk, away[1].pk, here.pk}
