"""The page of the site's policy, and its form."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from databases.models import Database, Policy
from databases.services.save import save_database

LogIn = Callable[[str], Client]
PAGE = "/admin/databases/policy/1/change/"
EDIT = "/admin/databases/policy/1/edit/"
FORM = {
    "times": "30 3 * * *\n0 15 * * 0",
    "jitter_s": 60,
    "blackouts": "08:00-18:30\n22:00-02:00 fri SAT Europe/Berlin",
    "retention_days": 30,
    "max_backups": 0,
    "keep_daily": 7,
    "keep_weekly": 0,
    "keep_monthly": 12,
    "keep_yearly": 0,
    "failed_days": 30,
    "verify_within_days": 30,
    "drill_within_days": 0,
    "anomalies": "normal",
    "compression": "zstd",
}


def test_it_shows_what_applies_before_anything_was_saved_and_who_inherits_it(log_in: LogIn, shop: Database) -> None:
    save_database(database=shop, values={"retention_days": 3}, create=False)
    browser = log_in("viewer")
    assert browser.get("/admin/databases/policy/").headers["Location"] == PAGE
    page = browser.get(PAGE).content.decode()
    for text in (
        "none: on demand only",
        "0 of 1 Database",
        "Days to keep failures",
        "inherited by 0 of 1",
        "inherited by 1 of 1",
    ):
        assert text in page
    assert 'href="/admin/databases/policy/"' in page
    assert EDIT not in page
    assert browser.get("/admin/databases/policy/2/change/").status_code == 404


def test_what_is_saved_is_shown_again(log_in: LogIn) -> None:
    browser = log_in("admin")
    assert browser.post(EDIT, FORM).headers["Location"] == PAGE
    policy = Policy.objects.get()
    assert policy.schedule == ["30 3 * * *", "0 15 * * 0"]
    assert (policy.retention_days, policy.keep_monthly, policy.jitter_s, policy.paused) == (30, 12, 60, False)
    assert policy.blackouts == [
        {"from": "08:00", "to": "18:30"},
        {"from": "22:00", "to": "02:00", "days": ["fri", "sat"], "timezone": "Europe/Berlin"},
    ]
    page = browser.get(PAGE).content.decode()
    assert "At 03:30 every day" in page
    assert "22:00-02:00 fri sat Europe/Berlin" in page
    assert "22:00-02:00 fri sat Europe/Berlin" in browser.get(EDIT).content.decode()
    assert browser.post(EDIT, {**FORM, "times": ""}).status_code == 302
    assert Policy.objects.get().schedule is None


def test_words_stand_for_times(log_in: LogIn) -> None:
    assert log_in("admin").post(EDIT, {**FORM, "times": "@weekly"}).status_code == 302
    assert Policy.objects.get().schedule in ("@weekly", ["@weekly"], "0 0 * * 0", ["0 0 * * 0"])


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("times", "61 * * * *", "is not a cron expression"),
        ("blackouts", "at night", "does not begin with two times"),
        ("blackouts", "08:00-18:00 Berlin", "is not an IANA timezone"),
        ("blackouts", "08:00-18:00 Europe/Berlin UTC", "is neither a day"),
        ("retention_days", "", "This field is required"),
        ("max_backups", "-1", "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(log_in: LogIn, field: str, value: Any, told: str) -> None:
    answer = log_in("admin").post(EDIT, {**FORM, field: value})
    assert answer.status_code == 200
    assert told in answer.content.decode()
    assert not Policy.objects.filter(retention_days=30).exists()


def test_only_admins_change_it(log_in: LogIn) -> None:
    for role in ("viewer", "operator"):
        assert log_in(role).post(EDIT, FORM).status_code == 403
        assert log_in(role).get(EDIT).status_code == 403
    assert log_in("admin").get("/admin/databases/policy/add/").status_code == 403
    assert not Policy.objects.exists()
