"""Retention on real destinations: it counts only what is good, stops while backups fail, and loses no object."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from backups.destinations import open_storage
from backups.models import Backup, Destination
from backups.services.place import place_database
from backups.services.save_destination import save_destination
from databases.models import Database
from databases.services.save import save_database
from databases.services.save_policy import save_policy
from jobs.fields import unseal
from jobs.models import Status
from jobs.services.sweep import sweep
from tests.faults.conftest import Site
from tests.room import back_up, s3_destination
from tests.servers.s3 import S3Server


@pytest.fixture
def bucket(site: Site, s3: S3Server, s3_bucket: str) -> Destination:
    """The destination of the site's Database from now on: a prefix of a bucket that others use too."""
    destination = s3_destination(s3, s3_bucket, prefix="team/site", is_default=False)
    place_database(database=site.database, destination_ids=[destination.pk])
    return destination


def states(database: Database) -> list[str]:
    return list(Backup.objects.filter(database=database).order_by("created_at").values_list("status", flat=True))


def keys(destination: Destination) -> set[str]:
    return {found.key for found in open_storage(destination).list()}


def days_ago(backups: Any, days: float) -> None:
    backups.update(finished_at=timezone.now() - timedelta(days=days))


def run_and_fail(site: Site) -> Backup:
    save_database(database=site.database, values={"password": "wrong"}, create=False)
    failed = back_up(site.database)
    save_database(database=site.database, values={"password": site.server.password}, create=False)
    assert failed.status == Status.FAILED
    return failed


@pytest.mark.slow
def test_of_three_runs_too_many_under_a_prefix_exactly_those_allowed_stay(
    site: Site, bucket: Destination, s3: S3Server, s3_bucket: str
) -> None:
    neighbour = s3_destination(s3, s3_bucket, id="neighbour", prefix="team/site2", is_default=False)
    open_storage(neighbour).write_text("shop/kept", "not ours")
    days_ago(Backup.objects.filter(pk=site.good.pk), 1)
    made = [back_up(site.database) for _ in range(4)]
    save_policy(values={"max_backups": 2})
    sweep()
    stay = {key for backup in made[-2:] for key in site.keys_of(backup)}
    assert (states(site.database), keys(bucket)) == (["expired"] * 3 + ["completed"] * 2, stay)
    assert (site.objects(), keys(neighbour)) == (set(), {"shop/kept"})


@pytest.mark.slow
def test_failed_runs_take_no_place_of_good_ones(site: Site) -> None:
    save_policy(values={"max_backups": 2})
    run_and_fail(site)
    second = back_up(site.database)
    run_and_fail(site)
    sweep()
    assert states(site.database) == ["completed", "failed", "completed", "failed"]
    third = back_up(site.database)
    sweep()
    assert states(site.database) == ["expired", "failed", "completed", "failed", "completed"]
    assert site.objects() == site.keys_of(second) | site.keys_of(third)


@pytest.mark.slow
def test_thirty_failing_days_leave_the_good_backups_there(site: Site) -> None:
    save_policy(values={"retention_days": 7, "max_backups": 1, "failed_days": 7})
    before = back_up(site.database)
    days_ago(Backup.objects.filter(pk=site.good.pk), 33)
    days_ago(Backup.objects.filter(pk=before.pk), 31)
    held = site.objects()
    failed = run_and_fail(site)
    for day in range(1, 30):
        failed.pk, failed.finished_at = f"bkp_failed{day:02}", timezone.now() - timedelta(days=day)
        failed.save(force_insert=True)
    sweep()
    assert site.objects() == held
    assert states(site.database).count("completed") == 2
    new = back_up(site.database)
    sweep()
    assert site.objects() == site.keys_of(new)


@contextmanager
def away(destination: Destination, site: Site) -> Iterator[None]:
    """The store does not answer: its disk is not mounted, or its keys were changed."""
    if destination.kind == Destination.Kind.LOCAL:
        elsewhere = site.folder.rename(site.folder.with_name("elsewhere"))
        yield
        elsewhere.rename(site.folder)
        return
    right = unseal(destination.secrets)["secret_key"]
    save_destination(destination=destination, values={"secret_key": "wrong"}, create=False)
    yield
    save_destination(destination=destination, values={"secret_key": right}, create=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["local", "s3"])
def test_what_cannot_be_deleted_stays_deleting_and_is_tried_again(
    site: Site, kind: str, request: pytest.FixtureRequest
) -> None:
    destination = site.destination if kind == "local" else request.getfixturevalue("bucket")
    old, new = back_up(site.database), back_up(site.database)
    Backup.objects.filter(pk=site.good.pk).update(locked=True)
    save_policy(values={"max_backups": 1})
    with away(destination, site):
        for _ in range(2):
            sweep()
            assert states(site.database) == ["completed", "deleting", "completed"]
        assert old.copies.get().error
    assert site.keys_of(old) < keys(destination)
    sweep()
    assert states(site.database) == ["completed", "expired", "completed"]
    assert keys(destination) - site.keys_of(site.good) == site.keys_of(new)


def test_a_clock_that_steps_back_takes_nothing_and_uses_no_key_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_policy(values={"retention_days": 1, "max_backups": 1})
    second = back_up(site.database)
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now - timedelta(days=1))
    sweep()
    assert states(site.database) == ["completed", "completed"]
    third = back_up(site.database)
    monkeypatch.undo()
    assert third.status == Status.COMPLETED
    assert site.keys_of(site.good) | site.keys_of(second) | site.keys_of(third) == site.objects()
    assert len(site.objects()) == 6
