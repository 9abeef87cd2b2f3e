"""A backup that is unlike those before it is marked and told once, holds its Database, and is settled by somebody."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.anomaly_selectors import databases_held, held_by, marks_holding
from backups.models import Anomaly, Backup, Copy, DatabaseDestination, Destination
from backups.services import judge as service
from backups.services.expire import expire
from backups.services.explain import explain_retention, limits_of
from backups.services.judge import judge_completed
from backups.services.look_at_anomaly import say_good_again, say_right, say_wrong
from backups.services.retain import retain
from backups.services.retain_copies import retain_copies
from databases.models import Database, Policy
from databases.selectors import site_policy
from jobs.errors import BackupError
from jobs.models import LogLine, Status
from notifications.models import Event
from packages.models import Package, PackageMember, PackagePolicy
from packages.services.retain import retain_packages
from tests.api import make_backup, make_database, make_destination, user_with

pytestmark = pytest.mark.django_db

Run = Callable[..., Backup]
USUAL = {"public.orders": 12_000, "public.users": 300}


@pytest.fixture
def shop() -> Database:
    return make_database(max_backups=2)


@pytest.fixture
def disk(tmp_path: Path) -> Destination:
    return make_destination(tmp_path / "disk")


@pytest.fixture
def run(shop: Database, disk: Destination) -> Run:
    """`run(orders=0)` is one more completed backup, an hour after the one before, judged as its end does it."""
    at = [timezone.now() - timedelta(days=3)]

    def make(database: Database = shop, size: int = 5_000_000, judged: bool = True, **given: Any) -> Backup:
        counts = {**USUAL, **{f"public.{name}": given.pop(name) for name in ("orders", "users") if name in given}}
        at[0] += timedelta(hours=1)
        engine = {"format": "custom", "selection": {}, "counts": counts, **given.pop("facts", {})}
        values = {"original_size": size, "size": size // 4, "finished_at": at[0], "created_at": at[0], **given}
        backup = make_backup(database, destination=disk, manifest={"engine": engine}, **values)
        if judged:
            judge_completed(backup)
        return backup

    return make


@pytest.fixture
def used(run: Run) -> list[Backup]:
    """Six backups that are alike."""
    return [run(orders=12_000 + number) for number in range(6)]


def state(backup: Backup) -> tuple[str, bool] | None:
    mark = Anomaly.objects.filter(pk=backup.pk).first()
    return (mark.state, mark.holds) if mark else None


def told(kind: str = "anomaly.found") -> int:
    return Event.objects.filter(kind=kind).count()


def test_those_that_are_alike_are_not_marked(used: list[Backup]) -> None:
    assert (Anomaly.objects.count(), told()) == (0, 0)


def test_an_emptied_table_is_marked_and_told_with_what_is_usual(run: Run, used: list[Backup]) -> None:
    backup = run(orders=0)
    mark = Anomaly.objects.get(pk=backup.pk)
    assert [(one["measure"], one["name"], one["change"], one["found"]) for one in mark.findings] == [
        ("item", "public.orders", "emptied", 0),
        ("total", "", "fall", 300),
    ]
    event = Event.objects.get(kind="anomaly.found")
    assert (event.severity, event.subject_id, event.database_id) == ("error", backup.pk, "shop")
    assert "public.orders is empty (usually " in event.message and "before 12,005)" in event.message
    assert event.data["findings"][0]["previous"] == 12_005
    assert "unlike those before it" in LogLine.objects.get(job_id=backup.pk).message


def test_what_follows_is_marked_in_silence_until_somebody_has_looked(run: Run, used: list[Backup]) -> None:
    backups = [run(orders=0) for _ in range(5)]
    assert ([state(one) for one in backups], told()) == ([("open", True)] * 5, 1)
    say_right(backup=backups[-1])
    assert run(orders=0).pk not in held_by(["shop"]).values()
    run(users=0)
    assert told() == 2


def test_only_the_same_kind_of_backup_is_compared(run: Run, used: list[Backup]) -> None:
    parts: list[dict[str, Any]] = [
        {"type": "selective", "include": ["public.users"]},
        {"type": "incremental"},
        {"collection": "users"},
        {"facts": {"format": "plain"}},
        {"facts": {"selection": {"schemas": ["public"]}}},
    ]
    assert [state(run(size=10, orders=0, **values)) for values in parts] == [None] * 5


def test_stored_sizes_are_compared_where_the_compression_is_the_same(run: Run, used: list[Backup]) -> None:
    assert state(make_like(used[-1], size=5_000_000, compression="none")) is None
    grown = make_like(used[-1], size=5_000_000)
    assert [one["measure"] for one in Anomaly.objects.get(pk=grown.pk).findings] == ["stored"]


def make_like(backup: Backup, **values: Any) -> Backup:
    same = {name: getattr(backup, name) for name in ("original_size", "size", "manifest")}
    like = make_backup(backup.database, **{**same, "finished_at": timezone.now(), **values})
    judge_completed(like)
    return like


def test_retention_keeps_everything_and_says_why(run: Run, used: list[Backup], shop: Database) -> None:
    backup = run(orders=0)
    verdicts = explain_retention(database=shop, limits=limits_of(shop, site_policy()), now=timezone.now())
    assert not any(verdict.goes for verdict in verdicts)
    assert all(any(backup.pk in reason for reason in verdict.reasons) for verdict in verdicts)
    assert retain([shop]).expired == []
    say_right(backup=backup)
    assert len(retain([shop]).expired) == 5


def test_what_was_decided_before_the_mark_is_looked_at_again(run: Run, used: list[Backup], shop: Database) -> None:
    before = explain_retention(database=shop, limits=limits_of(shop, site_policy()), now=timezone.now())
    assert sum(verdict.goes for verdict in before) == 4
    run(orders=0)
    assert expire(before) == []


def test_other_databases_are_pruned_all_the_same(run: Run, used: list[Backup], shop: Database) -> None:
    other = make_database("other", max_backups=1)
    [run(database=other) for _ in range(3)]
    run(orders=0)
    assert len(retain([shop, other]).expired) == 2
    assert [database.pk for database in databases_held()] == ["shop"]


def test_copies_of_a_held_database_do_not_go(run: Run, used: list[Backup], shop: Database, tmp_path: Path) -> None:
    far = make_destination(tmp_path / "far", "far", is_default=False)
    for backup in used:
        Copy.objects.create(backup=backup, destination=far, attempt=2, key=f"far-{backup.pk}", state="stored")
    place = DatabaseDestination.objects.create(database=shop, destination=far, position=1, retention_days=1)
    backup = run(orders=0)
    assert retain_copies(placement=place, now=timezone.now()) == 0
    say_right(backup=backup)
    assert retain_copies(placement=place, now=timezone.now()) == 6


def test_packages_with_a_held_database_in_them_do_not_go(run: Run, used: list[Backup]) -> None:
    PackagePolicy.objects.create(max_packages=1)

    def package(database_id: str) -> Package:
        made = Package.objects.create(status=Status.COMPLETED, finished_at=timezone.now())
        PackageMember.objects.create(package=made, position=1, database_id=database_id, name="x")
        return made

    ours, others = package("shop"), package("other")
    package("shop")
    backup = run(orders=0)
    retain_packages()
    states = dict(Package.objects.values_list("pk", "status"))
    assert (states[ours.pk], states[others.pk]) == ("completed", "expired")
    say_right(backup=backup)
    retain_packages()
    assert Package.objects.get(pk=ours.pk).status == "expired"


def test_who_says_that_it_is_right_is_kept_and_pruning_goes_on(run: Run, used: list[Backup]) -> None:
    backup, user = run(orders=0), user_with("operator")
    mark = say_right(backup=backup, note="archived", user=user)
    assert (mark.said_by_name, mark.note, mark.holds) == (user.username, "archived", False)
    assert (told("anomaly.ended"), held_by(["shop"])) == (1, {})
    assert state(run(orders=0)) is None


def test_what_is_right_settles_the_marks_that_say_the_same_and_what_is_before(run: Run, used: list[Backup]) -> None:
    jump, first, second = run(size=90_000_000), run(orders=0), run(orders=0)
    later = run(users=0, orders=0)
    say_right(backup=first)
    assert [state(one) for one in (jump, first, second, later)] == [
        ("passed", False),
        ("right", False),
        ("right", False),
        ("open", True),
    ]
    assert told("anomaly.ended") == 0
    say_right(backup=later)
    assert told("anomaly.ended") == 1
    assert state(run(size=90_000_000)) == ("open", True)  # what passed was not said to be right


def test_what_is_wrong_holds_until_a_good_one_came_and_somebody_said_so(run: Run, used: list[Backup]) -> None:
    backup = run(orders=0)
    say_wrong(backup=backup, note="migration")
    with pytest.raises(BackupError) as refused:
        say_good_again(backup=backup)
    assert refused.value.code == "nothing_good"
    again = run(orders=0)
    assert (state(again), told()) == (("open", True), 1)
    with pytest.raises(BackupError):
        say_good_again(backup=backup)  # that one is marked too
    run(orders=12_003)
    assert held_by(["shop"]) == {"shop": again.pk}
    say_good_again(backup=backup, note="restored")
    assert (state(backup), state(again), held_by(["shop"])) == (("wrong", False), ("passed", False), {})
    assert state(run(orders=0)) == ("open", True)


def test_one_changes_ones_mind_but_says_nothing_twice(run: Run, used: list[Backup]) -> None:
    backup = run(orders=0)
    say_right(backup=backup)
    with pytest.raises(BackupError) as refused:
        say_right(backup=backup)
    assert (refused.value.code, "marked as right, and that is over" in str(refused.value)) == ("wrong_state", True)
    assert say_wrong(backup=backup).holds
    assert not say_right(backup=backup).holds
    with pytest.raises(BackupError):
        say_wrong(backup=used[0])


@pytest.mark.parametrize(("site", "own", "marked"), [("off", "inherit", 0), ("normal", "off", 0), ("off", "high", 1)])
def test_it_can_be_switched_off(run: Run, used: list[Backup], site: str, own: str, marked: int) -> None:
    Policy.objects.create(anomalies=site)
    Database.objects.update(anomalies=own)
    run(orders=0)
    assert Anomaly.objects.count() == marked


def test_history_counts_that_retention_has_taken(run: Run, used: list[Backup]) -> None:
    Backup.objects.update(status=Status.EXPIRED)
    assert state(run(orders=0)) == ("open", True)


def test_what_goes_wrong_in_it_stops_no_backup(
    run: Run, used: list[Backup], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_args: Any, **_values: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM backups_backup")

    monkeypatch.setattr(service, "judge", broken)
    with transaction.atomic():
        backup = run(orders=0)
        Backup.objects.filter(pk=backup.pk).update(label="after it")  # the transaction goes on
    assert (Backup.objects.get(pk=backup.pk).label, state(backup)) == ("after it", None)
    assert "could not be compared" in caplog.text
    event = Event.objects.get(kind="anomaly.not_judged")
    assert (event.severity, event.subject_id, event.database_id) == ("warning", backup.pk, "shop")
    assert backup.pk in event.message and "no_such_column" not in event.message


def test_it_asks_a_constant_number_of_questions_and_reads_little(run: Run) -> None:
    def asked(backup: Backup) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            judge_completed(backup)
        return len(queries)

    [run(judged=False) for _ in range(6)]
    few = asked(run(judged=False))
    [run(judged=False) for _ in range(40)]
    assert asked(run(judged=False)) == few <= 7


def test_a_backup_that_is_deleted_takes_its_mark_with_it(run: Run, used: list[Backup]) -> None:
    backup = run(orders=0)
    assert [mark.backup.pk for mark in marks_holding()] == [backup.pk]
    Copy.objects.filter(backup=backup).delete()
    backup.delete()
    assert list(marks_holding()) == []


def test_times_are_those_of_the_end(run: Run, used: list[Backup]) -> None:
    """An older backup that is settled late is compared with what was before it, not with what came after."""
    end: datetime = used[2].finished_at or timezone.now()
    late = make_like(used[2], finished_at=end - timedelta(minutes=1), original_size=1)
    assert state(late) is None
