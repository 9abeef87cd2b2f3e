"""What pages tell whoever reads them for the first time."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from backups.models import Backup, Restore
from jobs.management.command import figure
from jobs.templatetags.backupsite import distance, size
from tests.api import make_database, make_destination
from tests.backupsite.admin.test_secrets import FORM

LogIn = Callable[[str], Client]
MakeBackup = Callable[..., Backup]
NEW = "/admin/databases/database/add/?engine=postgres"


def marked_as_required(page: str) -> set[str]:
    return set(re.findall(r'<label for="id_(\w+)">[^<]*<span class="bks-must"', page))


def test_the_form_of_a_database_says_what_it_needs_and_what_retention_does(log_in: LogIn) -> None:
    page = log_in("admin").get(NEW).content.decode()
    assert {"name", "host", "username", "database_name"} <= marked_as_required(page)
    assert "port" not in marked_as_required(page)
    assert 'placeholder="5432"' in page
    assert "A completed backup past the days or the count goes, unless a tier, a lock or a proof keeps it." in page
    assert "preview-schedule" in page


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {"schedule": "own", "times": "30 3 * * *\n", "timezone": "Asia/Kolkata"},
            ["At 03:30 every day.", "Next, in Asia/Kolkata:"],
        ),
        ({"schedule": "own", "times": "@daily", "timezone": "UTC"}, ["At 00:00 every day."]),
        ({"schedule": "own", "times": "30 25 * * *", "timezone": "UTC"}, ["is not a cron expression"]),
        ({"schedule": "own", "times": "30 3 * * *", "timezone": "Mars"}, ["is not an IANA timezone"]),
    ],
)
def test_the_times_are_explained_while_they_are_typed(log_in: LogIn, asked: dict[str, str], told: list[str]) -> None:
    answer = log_in("viewer").get("/admin/databases/database/preview-schedule/", asked).content.decode()
    for text in told:
        assert text in answer
    if "not" not in told[0]:
        assert answer.count("03:30" if "Kolkata" in str(asked) else "00:00") == 6, (
            "once in words and five times as a date"
        )


def test_nothing_is_said_of_no_schedule(log_in: LogIn) -> None:
    answer = log_in("viewer").get("/admin/databases/database/preview-schedule/", {"schedule": "none", "times": "x"})
    assert answer.content.strip() == b""


def test_an_empty_host_is_still_refused_in_the_words_of_the_engine(log_in: LogIn) -> None:
    page = log_in("admin").post(NEW, {**FORM, "host": ""}).content.decode()
    assert "PostgreSQL needs this." in page


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"public.a": 1, "public.b": None}, "1 of 2 tables counted in the time allowed (5 % of the dump)."),
        ({"public.a": 1, "public.b": 0}, "Counted by the dump itself."),
        ({f"public.t{number}": number for number in range(11)}, "The list below scrolls to all 11."),
    ],
)
def test_a_manifest_says_how_much_was_counted(
    log_in: LogIn, make_backup: MakeBackup, counts: dict[str, int | None], told: str
) -> None:
    backup = make_backup(manifest={"engine": {"format": "custom", "counts": counts}})
    assert told in log_in("viewer").get(f"/admin/backups/backup/{backup.pk}/change/").content.decode()


def test_a_wrong_confirmation_marks_its_field_and_asks_the_key_again(log_in: LogIn, make_backup: MakeBackup) -> None:
    backup = make_backup(encryption="age")
    values = {"target": "shop", "confirm": "shoq", "identity": "AGE-SECRET-KEY-1"}
    page = log_in("operator").post(f"/admin/backups/backup/{backup.pk}/restore/", values).content.decode()
    assert "Nothing was started. Correct the fields marked below." in page
    assert "Repeat the id of the target: shop." in page.split('data-field="confirm"')[1]
    assert "Type it again" in page
    assert not Restore.objects.exists()


def test_sizes_read_as_in_commands() -> None:
    assert size(5_000_000) == figure(5_000_000) == "4.8 MiB"


@pytest.mark.parametrize(
    ("seconds", "text"), [(41.5, "in 41 s"), (0.5, "in 1 s"), (59.9, "in 59 s"), (-41, "just now")]
)
def test_less_than_a_minute_ahead_is_told_in_seconds(
    seconds: float, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    assert distance(now + timedelta(seconds=seconds)) == text


@pytest.mark.parametrize("managed", [True, False])
def test_what_comes_from_a_file_says_so_on_its_page_and_in_its_form(log_in: LogIn, managed: bool) -> None:
    make_database(managed=managed)
    make_destination(managed=managed)
    client = log_in("admin")
    for kind in ("databases/database/shop", "backups/destination/local"):
        for page in ("change/", "edit/"):
            assert ("config.yaml" in client.get(f"/admin/{kind}/{page}").content.decode()) == managed
