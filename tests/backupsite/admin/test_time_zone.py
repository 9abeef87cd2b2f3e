"""Pages tell times in the reader's time zone; what programs read and what is kept is in UTC."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from backups.models import Backup
from backupsite.api.models import ApiKey
from backupsite.timezones import TimeZoneMiddleware
from jobs.models import LogLine
from jobs.templatetags.backupsite import elsewhere, moment, seconds, written, zoned
from notifications.models import Mute
from tests.api import make_database

LogIn = Callable[[str], Client]
MakeBackup = Callable[..., Backup]
AT = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # half an hour before clocks go forward in Europe

SOON = f"{timezone.now() + timedelta(days=3):%Y-%m-%d}T12:00"  # as a form has it


def noon_in(zone: str) -> datetime:
    return datetime.fromisoformat(SOON).replace(tzinfo=ZoneInfo(zone))


def reading_in(browser: Client, zone: str) -> Client:
    browser.cookies["backupsite_timezone"] = zone
    return browser


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize(
    ("zone", "at", "told"),
    [
        ("Europe/Madrid", AT, "2026-03-29 01:30 UTC+1"),
        ("Europe/Madrid", AT + timedelta(hours=1), "2026-03-29 03:30 UTC+2"),
        ("America/New_York", AT, "2026-03-28 20:30 UTC−4"),
        ("America/New_York", datetime(2026, 11, 1, 5, 30, tzinfo=UTC), "2026-11-01 01:30 UTC−4"),
        ("America/New_York", datetime(2026, 11, 1, 6, 30, tzinfo=UTC), "2026-11-01 01:30 UTC−5"),
        ("Asia/Kolkata", AT, "2026-03-29 06:00 UTC+5:30"),
        ("UTC", AT, "2026-03-29 00:30 UTC"),
    ],
)
def test_a_time_is_told_in_the_zone_of_its_reader(zone: str, at: datetime, told: str) -> None:
    with timezone.override(zone):
        shown = str(zoned(at))
        assert told in shown
        assert f'datetime="{at:%Y-%m-%dT%H:%M:%SZ}" title="{at:%Y-%m-%d %H:%M:%S} UTC"' in shown
        assert f">{told.rsplit(' ', 1)[0]}<" in str(moment(at))


@pytest.mark.parametrize("junk", ["Mars/Phobos", "", "../../etc/passwd", "\x00", "UTC" * 1000, "<b>", "Europe"])
def test_what_is_no_time_zone_is_utc(log_in: LogIn, make_backup: MakeBackup, junk: str) -> None:
    backup = make_backup(created_at=AT)
    page = text(reading_in(log_in("viewer"), junk).get(f"/admin/backups/backup/{backup.pk}/change/"))
    assert "2026-03-29 00:30 UTC<" in page
    assert "<span data-zone>UTC</span>" in page


def test_a_page_its_list_and_its_log_are_in_the_readers_zone(log_in: LogIn, make_backup: MakeBackup) -> None:
    backup = make_backup(created_at=AT)
    LogLine.objects.create(job_kind="backup", job_id=backup.pk, attempt=1, message="Hello.", at=AT)
    browser = reading_in(log_in("viewer"), "Asia/Kolkata")
    page = text(browser.get(f"/admin/backups/backup/{backup.pk}/change/"))
    assert ">2026-03-29 06:00 UTC+5:30<" in page
    assert ">06:00:00</time>" in page
    assert "<span data-zone>Asia/Kolkata</span>" in page
    assert ">2026-03-29 06:00</time>" in text(browser.get("/admin/backups/backup/"))


def test_a_day_is_a_day_of_the_readers_zone(log_in: LogIn, make_backup: MakeBackup) -> None:
    make_backup(created_at=AT)
    page = "/admin/backups/backup/?when=2026-03-28"
    assert "None yet" not in text(reading_in(log_in("viewer"), "America/New_York").get(page))
    assert "2026-03-29 00:30" not in text(log_in("viewer").get(page))
    told = text(reading_in(log_in("viewer"), "America/New_York").get("/admin/"))
    assert "A day begins at midnight in America/New_York" in told


def test_programs_read_utc_whatever_the_cookie_says(log_in: LogIn, make_backup: MakeBackup) -> None:
    backup = make_backup(created_at=AT)
    answer = reading_in(log_in("viewer"), "Asia/Kolkata").get(f"/api/backups/{backup.pk}")
    assert answer.json()["created_at"].startswith("2026-03-29T00:30:00")
    assert answer.json()["created_at"].endswith("Z")


def test_the_zone_ends_with_the_request() -> None:
    """A thread serves somebody else next."""
    heard: list[str] = []

    def page(request: Any) -> HttpResponse:
        heard.append(timezone.get_current_timezone_name())
        return HttpResponse()

    told = TimeZoneMiddleware(page)
    for path in ("/admin/", "/api/databases"):
        request = RequestFactory().get(path)
        request.COOKIES["backupsite_timezone"] = "Asia/Kolkata"
        with timezone.override("America/New_York"):  # whatever was left over
            told(request)
        assert timezone.get_current_timezone_name() == "UTC"
    assert heard == ["Asia/Kolkata", "UTC"]


def test_one_may_choose_utc_and_choose_otherwise(log_in: LogIn) -> None:
    browser = reading_in(log_in("viewer"), "Asia/Kolkata")
    assert "in the browser&#x27;s time zone, <span data-zone>Asia/Kolkata</span>" in text(
        browser.get("/admin/account/")
    ).replace("'", "&#x27;")
    assert browser.get("/admin/account/times/").status_code == 405
    browser.post("/admin/account/times/", {"times": "utc"})
    assert "Pages tell times in UTC" in text(browser.get("/admin/account/"))
    browser.post("/admin/account/times/")
    assert "<span data-zone>Asia/Kolkata</span>" in text(browser.get("/admin/account/"))


class TestForms:
    def test_what_is_typed_is_meant_in_the_zone_that_the_form_was_shown_in(self, log_in: LogIn) -> None:
        browser = reading_in(log_in("operator"), "America/New_York")
        page = text(browser.get("/admin/notifications/mute/add/"))
        assert 'name="until-zone" value="America/New_York"' in page
        assert "In America/New_York." in page
        reading_in(browser, "Asia/Kolkata")  # the reader flew
        self.mute(browser, SOON, "America/New_York")
        assert Mute.objects.get().until == noon_in("America/New_York")

    @pytest.mark.parametrize("zone", ["Mars", "../../etc/passwd", "", "Europe"])
    def test_a_form_that_names_no_zone_is_meant_in_the_readers(self, log_in: LogIn, zone: str) -> None:
        self.mute(reading_in(log_in("operator"), "Asia/Kolkata"), SOON, zone)
        assert Mute.objects.get().until == noon_in("Asia/Kolkata")

    def test_a_refused_form_shows_what_was_typed(self, log_in: LogIn) -> None:
        browser = reading_in(log_in("operator"), "America/New_York")
        page = text(self.mute(browser, "2001-07-01T12:00", "America/New_York"))
        assert 'value="2001-07-01T12:00"' in page
        assert not Mute.objects.exists()

    @pytest.mark.parametrize("typed", ["9999-12-31T23:59", "0001-01-01T00:00", "soon", "2090-02-31T00:00"])
    def test_a_time_that_is_none_is_refused(self, log_in: LogIn, typed: str) -> None:
        zone = "America/New_York" if typed.startswith("9") else "Asia/Kolkata"
        text(self.mute(reading_in(log_in("operator"), zone), typed, zone))
        assert not Mute.objects.exists()

    def test_a_key_expires_when_its_maker_meant(self, log_in: LogIn) -> None:
        browser = reading_in(log_in("admin"), "Europe/Madrid")
        values = {"name": "CI", "role": "viewer", "expires_at": SOON, "expires_at-zone": "Europe/Madrid"}
        browser.post("/admin/api/apikey/add/", values)
        assert ApiKey.objects.get().expires_at == noon_in("Europe/Madrid")

    def mute(self, browser: Client, until: str, zone: str) -> Any:
        values = {"scope": "all", "until": until, "until-zone": zone, "reason": "works"}
        return browser.post("/admin/notifications/mute/add/", values)


class TestSchedules:
    def test_next_runs_are_in_the_readers_zone_and_in_their_own_where_that_is_another(self, log_in: LogIn) -> None:
        database = make_database(schedule="30 3 * * *", timezone="Asia/Kolkata")
        page = f"/admin/databases/database/{database.pk}/change/?tab=schedule"
        there = text(reading_in(log_in("viewer"), "UTC").get(page))
        assert re.search(r" 22:00 UTC</time> <span class=\"bks-quiet\">\d{4}-\d\d-\d\d 03:30 UTC\+5:30</span>", there)
        same = text(reading_in(log_in("viewer"), "Asia/Colombo").get(page))
        assert re.search(r" 03:30 UTC\+5:30</time></span>", same)

    def test_so_they_are_while_they_are_typed(self, log_in: LogIn) -> None:
        asked = {"schedule": "own", "times": "30 3 * * *", "timezone": "Asia/Kolkata"}
        preview = "/admin/databases/database/preview-schedule/"
        told = text(reading_in(log_in("viewer"), "UTC").get(preview, asked))
        assert len(re.findall(r"03:30 <small>\(\d{4}-\d\d-\d\d 22:00 UTC\)</small>", told)) == 5
        assert "<small>" not in text(reading_in(log_in("viewer"), "Asia/Kolkata").get(preview, asked))

    def test_the_day_is_told_only_where_it_is_another(self) -> None:
        with timezone.override("Europe/Madrid"):
            assert elsewhere(AT, "Africa/Lagos") == ""
            assert elsewhere(AT, "UTC") == "00:30 UTC"
            assert elsewhere(AT, "America/New_York") == "2026-03-28 20:30 UTC−4"


def test_the_script_tells_the_same_forms() -> None:
    script = (Path(__file__).resolve().parents[3] / "static/backupsite/times.js").read_text()
    assert set(re.findall(r'form === "(\w+)"', script)) == {"clock", "seconds", "zoned"}
    assert written(AT, "moment") == "2026-03-29 00:30"
    assert ">00:30:00<" in str(seconds(AT))
