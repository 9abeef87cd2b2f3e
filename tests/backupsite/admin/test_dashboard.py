"""The first page: what it says, and that each figure leads to exactly the rows it counts."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Session
from backups.models import Backup, Copy, Destination, Drill, KitDownload, Overdue, Slot, Usage
from backups.services.count_usage import count_usage
from backups.services.recovery_kit import fingerprint
from databases.models import Database, Policy
from jobs.models import LogLine, Process, Status
from notifications.models import Mute

LogIn = Callable[[str], Client]
DATABASES, BACKUPS = "/admin/databases/database/", "/admin/backups/backup/"
AT_MOST = 12


@pytest.fixture(autouse=True)
def alive(db: None) -> Iterator[None]:
    """A site whose processes are there, and nothing remembered of another test."""
    cache.clear()
    for role in ("web", "worker", "beat", "sweeper"):
        Process.objects.create(name=f"{role}@here:1", role=role, host="here", pid=1)
    yield
    cache.clear()


@pytest.fixture
def disk() -> Destination:
    return Destination.objects.create(
        id="disk", name="Disk", kind="local", path="/backups", is_default=True, looked_at=timezone.now(), free_bytes=900
    )


def database(name: str, **values: Any) -> Database:
    return Database.objects.create(id=name.lower(), name=name, engine="postgres", **values)


def run(of: Database, at: Destination, status: str = Status.COMPLETED, *, hours: float = 2, **values: Any) -> Backup:
    began = timezone.now() - timedelta(hours=hours)
    ended = None if status == Status.IN_PROGRESS else began + timedelta(seconds=30)
    given = {"status": status, "created_at": began, "started_at": began, "finished_at": ended, "size": 100}
    backup = Backup.objects.create(database=of, database_name=of.name, engine="postgres", **{**given, **values})
    if status == Status.COMPLETED:
        Copy.objects.create(backup=backup, destination=at, attempt=1, key=backup.pk, state="stored")
    return backup


@pytest.fixture
def fleet(disk: Destination) -> dict[str, Database]:
    """Six that are enabled, two of them not protected; one that is not counted."""
    made = {name: database(name, schedule="30 3 * * *") for name in ("Good", "Proven", "Failing", "Late", "Bare")}
    made["Off"] = database("Off", enabled=False)
    made["Fresh"] = database("Fresh", schedule=None)
    run(made["Good"], disk)
    run(made["Proven"], disk, proven_at=timezone.now())
    run(made["Failing"], disk, hours=40)
    run(made["Failing"], disk, Status.FAILED, error_message="The password is wrong.", error_hint="Edit it.")
    run(made["Late"], disk, hours=60)
    Overdue.objects.create(database=made["Late"], due_at=timezone.now(), since=timezone.now() - timedelta(hours=9))
    run(made["Off"], disk, hours=70)
    run(made["Fresh"], disk, hours=1)
    return made


def text_of(answer: Any) -> str:
    """What somebody reads on the page."""
    page = re.sub(r"<(script|style|title)\b.*?</\1>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def rows_of(browser: Client, address: str) -> set[str]:
    answer = browser.get(address)
    assert answer.status_code == 200, address
    return {row.pk for row in answer.context["cl"].queryset}


def links_of(answer: Any) -> set[str]:
    return {unescape(link) for link in re.findall(r'href="(/admin/[^"]*)"', answer.content.decode())}


# The verdict


def test_all_is_well_in_one_sentence(log_in: LogIn, disk: Destination) -> None:
    for name in ("Shop", "Billing"):
        run(database(name), disk, proven_at=timezone.now())
    page = text_of(log_in("viewer").get("/admin/"))
    assert "All 2 databases are protected." in page
    assert "bks-verdict bks-tone-warn" in log_in("viewer").get("/admin/").content.decode(), "nobody took the keys"


def test_what_is_not_protected_is_said_in_words(log_in: LogIn, fleet: dict[str, Database]) -> None:
    page = text_of(log_in("viewer").get("/admin/"))
    assert "2 of 6 databases are not protected." in page
    assert "1 has no backup that can be restored" in page
    assert "1 is overdue" in page
    assert "The newest backup of 1 failed" in page
    assert "alive" not in page, "of processes that are there nothing is said"


def test_the_keys_are_kept_outside_the_site_or_not(
    log_in: LogIn, fleet: dict[str, Database], disk: Destination
) -> None:
    browser = log_in("admin")
    assert "Keys: no recovery kit was taken" in text_of(browser.get("/admin/"))
    for days, kept in ((3, fingerprint()), (9, fingerprint()), (0, "of other keys")):
        taken = KitDownload.objects.create(fingerprint=kept, by_name="admin")
        KitDownload.objects.filter(pk=taken.pk).update(at=timezone.now() - timedelta(days=days))
    assert "Keys: kit taken 3 d ago" in text_of(browser.get("/admin/"))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE backups_destination SET secrets = 'sealed with a key that is gone'")
    assert "Keys: a stored secret does not open" in text_of(browser.get("/admin/"))


@pytest.mark.parametrize(
    ("role", "words"), [("worker", "No worker is alive"), ("sweeper", "No sweeper is alive"), ("beat", "not alive")]
)
def test_a_process_that_is_gone_is_in_the_verdict(
    log_in: LogIn, fleet: dict[str, Database], role: str, words: str
) -> None:
    Process.objects.filter(role=role).update(seen_at=timezone.now() - timedelta(minutes=20))
    page = text_of(log_in("viewer").get("/admin/"))
    assert words in page
    assert "20 min ago" in page


def test_paused_schedules_are_in_the_verdict(log_in: LogIn, fleet: dict[str, Database]) -> None:
    Policy.objects.update_or_create(pk=1, defaults={"paused": True})
    page = text_of(log_in("viewer").get("/admin/"))
    assert "Schedules are paused" in page
    assert "Nothing is due" in page


# Figures and what is behind them

STANDING = {
    "protected": {"good", "proven", "failing", "fresh"},
    "unprotected": {"late", "bare"},
    "bare": {"bare"},
    "failing": {"failing"},
    "overdue": {"late"},
    "proven": {"proven"},
    "due": {"good", "proven", "failing", "late", "bare"},
    "disabled": {"off"},
}


@pytest.mark.parametrize("name", STANDING)
def test_each_standing_is_a_filter_of_the_list(log_in: LogIn, fleet: dict[str, Database], name: str) -> None:
    assert rows_of(log_in("viewer"), f"{DATABASES}?standing={name}") == STANDING[name]


def test_the_page_leads_to_them_and_counts_them(log_in: LogIn, fleet: dict[str, Database]) -> None:
    browser = log_in("viewer")
    answer = browser.get("/admin/")
    links = links_of(answer)
    assert {f"{DATABASES}?standing={name}" for name in STANDING if name not in ("unprotected", "disabled")} <= links
    page = text_of(answer)
    assert "Protected 4 of 6" in page
    assert "Proven by a drill 1 of 6" in page
    assert "5 databases are due" in page


def test_the_last_day_is_what_the_list_of_that_time_shows(log_in: LogIn, fleet: dict[str, Database]) -> None:
    browser = log_in("viewer")
    page = text_of(browser.get("/admin/"))
    shown = rows_of(browser, f"{BACKUPS}?when=24h")
    assert shown == set(
        Backup.objects.filter(created_at__gt=timezone.now() - timedelta(hours=24)).values_list("pk", flat=True)
    )
    assert f"Backups in the last 24 h {len(shown)}" in page
    assert "3 completed, 1 failed" in page


def test_each_day_of_the_chart_leads_to_its_backups(log_in: LogIn, fleet: dict[str, Database]) -> None:
    browser = log_in("viewer")
    runs = browser.get("/admin/").context["dashboard"].runs
    assert [day.day for day in runs][-1] == timezone.localdate()
    for day in runs:
        rows = rows_of(browser, f"{BACKUPS}?when={day.day:%Y-%m-%d}")
        assert len(rows) == day.total
    assert sum(day.total for day in runs) == len(rows_of(browser, f"{BACKUPS}?when=14d")) == Backup.objects.count()


def test_no_word_of_an_address_breaks_a_filter(log_in: LogIn, fleet: dict[str, Database]) -> None:
    browser = log_in("viewer")
    every = set(Backup.objects.values_list("pk", flat=True))
    for nonsense in ("2026-02-30", "yesterday", "%00", ""):
        assert rows_of(browser, f"{BACKUPS}?when={nonsense}") == every
    assert len(rows_of(browser, f"{DATABASES}?standing=%00")) == len(fleet)


def test_every_link_of_the_page_opens(log_in: LogIn, fleet: dict[str, Database], disk: Destination) -> None:
    Drill.objects.create(
        database=fleet["Good"],
        database_name="Good",
        backup_label="x",
        status=Status.FAILED,
        started_at=timezone.now(),
        finished_at=timezone.now(),
        error_message="One row is missing.",
    )
    run(fleet["Good"], disk, Status.IN_PROGRESS, hours=0)
    browser = log_in("admin")
    links = {link for link in links_of(browser.get("/admin/")) if "logout" not in link}
    assert len(links) > 40
    assert {link: status for link in links if (status := browser.get(link, follow=True).status_code) != 200} == {}


# What needs somebody


def test_failing_and_overdue_say_why_and_are_retried_by_post(log_in: LogIn, fleet: dict[str, Database]) -> None:
    browser = log_in("operator")
    answer = browser.get("/admin/")
    page = text_of(answer)
    assert "The password is wrong. Edit it." in page
    assert "no good backup since then" in page
    address = f"{DATABASES}failing/back-up/"
    assert f'action="{address}"' in answer.content.decode()
    assert browser.get(address).status_code == 405
    assert browser.post(address, {"type": "full"}).status_code == 302
    assert Backup.objects.filter(database="failing", status=Status.PENDING).exists()


def test_muting_is_a_post_of_an_operator(log_in: LogIn, fleet: dict[str, Database]) -> None:
    address = "/admin/mute/failing/"
    assert log_in("viewer").post(address, {"hours": "24"}).status_code == 403
    browser = log_in("operator")
    assert browser.get(address).status_code == 405
    assert not Mute.objects.exists()
    assert browser.post(address, {"hours": "24"}).status_code == 302
    muted = Mute.objects.get()
    assert (muted.scope, muted.database_id) == ("database", "failing")
    assert timedelta(hours=23) < muted.until - timezone.now() <= timedelta(hours=24)
    assert "muted, ends in" in text_of(browser.get("/admin/"))
    assert browser.post("/admin/mute/none/", {"hours": "24"}).status_code == 404


def test_a_viewer_is_offered_neither(log_in: LogIn, fleet: dict[str, Database], disk: Destination) -> None:
    run(fleet["Good"], disk, Status.IN_PROGRESS, hours=0)
    page = log_in("viewer").get("/admin/").content.decode()
    assert "<form" not in page.partition('<div class="bks">')[2].partition("</main>")[0].split("logout")[0]


# Running


def test_what_runs_shows_phase_bytes_rate_and_the_end_of_its_log(
    log_in: LogIn, fleet: dict[str, Database], disk: Destination
) -> None:
    values = {"phase": "dump", "bytes_done": 3 << 20, "bytes_total_estimate": 12 << 20, "bytes_per_s": 1 << 20}
    backup = run(fleet["Good"], disk, Status.IN_PROGRESS, hours=0, **values)
    for line in ("one", "two", "three", "four"):
        LogLine.objects.create(job_kind="backup", job_id=backup.pk, attempt=1, message=line)
    answer = log_in("operator").get("/admin/")
    page = text_of(answer)
    assert "3.0 MiB of about 12.0 MiB 1.0 MiB/s about 9.0 s left" in page.replace("9 s", "9.0 s")
    assert "two three four" in page
    assert 'aria-valuenow="25"' in answer.content.decode()
    assert f'action="{BACKUPS}{backup.pk}/cancel/"' in answer.content.decode()


def test_polling_is_answered_only_when_something_changed(
    log_in: LogIn, fleet: dict[str, Database], disk: Destination
) -> None:
    browser = log_in("viewer")
    backup = run(fleet["Good"], disk, Status.IN_PROGRESS, hours=0, phase="dump")
    seen = browser.get("/admin/").context["dashboard"].now.version
    same = browser.get(f"/admin/running/?seen={seen}")
    assert (same.status_code, same.content) == (204, b"")
    Backup.objects.filter(pk=backup.pk).update(bytes_done=5)
    changed = browser.get(f"/admin/running/?seen={seen}")
    assert changed.status_code == 200
    assert b"<html" not in changed.content
    assert b'hx-trigger="every 2s"' in changed.content
    Backup.objects.filter(pk=backup.pk).update(status=Status.CANCELLED)
    ended = browser.get(f"/admin/running/?seen={seen}")
    assert b"Good" not in ended.content
    assert b'hx-trigger="every 10s"' in ended.content, "the next run is seen without a reload"
    assert browser.post("/admin/running/").status_code == 405


def test_who_has_no_role_sees_no_figure(log_in: LogIn, fleet: dict[str, Database]) -> None:
    from django.contrib.auth.models import User

    browser = Client()
    browser.force_login(User.objects.create_user("nobody", is_staff=True))
    assert "without a role" in text_of(browser.get("/admin/"))
    assert browser.get("/admin/running/").status_code == 403


# Days


def test_a_strip_tells_each_day_apart(log_in: LogIn, disk: Destination) -> None:
    shop = database("Shop")
    noon = timezone.now().replace(hour=12)
    days = {1: Status.COMPLETED, 2: Status.FAILED, 4: Status.COMPLETED}
    for back, status in days.items():
        run(shop, disk, status, created_at=noon - timedelta(days=back))
    run(shop, disk, Status.FAILED, created_at=noon - timedelta(days=4))
    run(shop, disk, Status.EXPIRED, created_at=noon - timedelta(days=5), proven_at=noon)
    for back, reason in ((3, "missed: nothing was running to start it"), (6, "another one was running")):
        Slot.objects.create(database=shop, due_at=noon - timedelta(days=back), outcome="skipped", reason=reason)
    (row,) = log_in("viewer").get("/admin/").context["dashboard"].strips
    assert [day.state for day in row.days[-7:]] == [
        "none", "completed", "mixed", "missed", "failed", "completed", "none"
    ]  # fmt: skip
    assert [day.proven for day in row.days].index(True) == len(row.days) - 6


# Destinations


def usage(at: Destination, amounts: dict[int, int]) -> None:
    today = timezone.now().date()
    for back, amount in amounts.items():
        Usage.objects.create(
            destination=at,
            day=today - timedelta(days=back),
            stored_bytes=amount,
            copies=1,
            counted_at=timezone.now(),
        )


def test_a_destination_says_when_it_will_be_full(log_in: LogIn, fleet: dict[str, Database], disk: Destination) -> None:
    usage(disk, {10: 100, 5: 150, 0: 200})
    (place,) = log_in("viewer").get("/admin/").context["dashboard"].places
    assert (place.used, place.free, place.percent, place.a_day) == (200, 900, 18, 10)
    assert place.full_on == timezone.localdate() + timedelta(days=90)
    assert place.forecast == "later"


@pytest.mark.parametrize("trouble", [{"free_bytes": 0}, {"fault": "destination_full"}, {"fault": "unreachable"}])
def test_a_destination_that_takes_nothing_is_in_the_verdict(
    log_in: LogIn, fleet: dict[str, Database], disk: Destination, trouble: dict[str, Any]
) -> None:
    browser, words = log_in("viewer"), "1 destination is full or cannot be used"
    assert words not in text_of(browser.get("/admin/"))
    Destination.objects.update(**trouble)
    answer = browser.get("/admin/")
    assert words in text_of(answer)
    assert answer.context["dashboard"].verdict.tone == "bad"


@pytest.mark.parametrize(
    ("free", "amounts", "forecast"),
    [
        (900, {0: 100}, "early"),
        (900, {10: 200, 0: 100}, "never"),
        (50, {10: 100, 0: 200}, "soon"),
        (0, {10: 100, 0: 200}, "full"),
        (None, {10: 100, 0: 200}, "unknown"),
    ],
)
def test_no_date_is_named_that_nobody_can_know(
    log_in: LogIn,
    fleet: dict[str, Database],
    disk: Destination,
    free: int | None,
    amounts: dict[int, int],
    forecast: str,
) -> None:
    Destination.objects.update(free_bytes=free)
    usage(disk, amounts)
    (place,) = log_in("viewer").get("/admin/").context["dashboard"].places
    assert place.forecast == forecast


def test_stored_bytes_and_growth_are_of_all_destinations(
    log_in: LogIn, fleet: dict[str, Database], disk: Destination
) -> None:
    other = Destination.objects.create(id="other", name="Other", kind="local", path="/other")
    usage(disk, {9: 1000, 8: 2000, 0: 5000})
    usage(other, {8: 500, 0: 600})
    stored = log_in("viewer").get("/admin/").context["dashboard"].stored
    assert (stored.total, stored.growth) == (5600, 3100)
    assert [amount for _, amount in stored.days] == [1000, 2500, 5600]


# Before anything is there


def test_the_four_steps_are_ticked_off_one_by_one(log_in: LogIn) -> None:
    browser = log_in("admin")

    def done() -> list[bool]:
        return [step.done for step in browser.get("/admin/").context["dashboard"].steps]

    page = text_of(browser.get("/admin/"))
    assert "Four steps to the first proven backup" in page
    assert "Protected" not in page, "no empty boxes"
    assert done() == [False] * 4
    disk = Destination.objects.create(id="disk", name="Disk", kind="local", path="/backups", is_default=True)
    assert done() == [True, False, False, False]
    shop = database("Shop")
    assert done() == [True, True, False, False]
    backup = run(shop, disk)
    assert done() == [True, True, True, False]
    assert "To the first proven backup" in text_of(browser.get("/admin/"))
    Backup.objects.filter(pk=backup.pk).update(proven_at=timezone.now())
    assert "first proven backup" not in text_of(browser.get("/admin/"))


# Queries


def test_twelve_queries_at_most_whatever_there_is(
    log_in: LogIn, fleet: dict[str, Database], disk: Destination, settings: Any
) -> None:
    settings.BACKUPSITE_FOUR_EYES = True  # its badge in the menu is one of them
    browser = log_in("admin")
    browser.get("/admin/")

    def asked() -> int:
        cache.clear()
        Session.objects.update(seen_at=timezone.now() - timedelta(hours=1))  # which is written now and then
        with CaptureQueriesContext(connection) as queries:
            assert browser.get("/admin/").status_code == 200
        return len(queries)

    few = asked()
    assert few <= AT_MOST
    for number in range(30):
        one = database(f"More{number}", schedule="0 * * * *")
        run(one, disk, hours=3)
        run(one, disk, Status.FAILED)
        run(one, disk, Status.IN_PROGRESS, hours=0)
        Overdue.objects.create(database=one, due_at=timezone.now(), since=timezone.now())
    count_usage()
    assert asked() == few
