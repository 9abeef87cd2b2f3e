"""The page of a backup: what it counted, the one before it, where its time went, and what its deletion takes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.comparison import Comparison, Manifest, previous_of
from backups.models import Anomaly, Backup, Copy, Destination
from databases.models import Database
from jobs.models import LogLine, PhaseTime, Status
from jobs.templatetags.runs import signed, versus

LogIn = Callable[[str], Client]
MakeBackup = Callable[..., Backup]


def text(answer: Any) -> str:
    return str(answer.content.decode())


def url(backup: Backup, name: str = "change") -> str:
    return f"/admin/backups/backup/{backup.pk}/{name}/"


def counted(**counts: int | None) -> dict[str, Any]:
    return {"engine": {"counts": {f"public.{name}": rows for name, rows in counts.items()}}}


@pytest.fixture
def pair(make_backup: MakeBackup) -> tuple[Backup, Backup]:
    """One of yesterday and one of today."""
    before = timezone.now() - timedelta(days=1)
    old = counted(orders=100, gone=7, same=3, skipped=None)
    earlier = make_backup(manifest=old, created_at=before, size=500_000, original_size=4_000_000)
    return earlier, make_backup(manifest=counted(orders=160, fresh=2, same=3, skipped=9))


class TestCompared:
    def test_items_are_told_apart(self, pair: tuple[Backup, Backup]) -> None:
        earlier, later = pair
        manifest = Manifest(later, earlier)
        assert [item.name for item in manifest.new] == ["public.fresh"]
        assert [item.name for item in manifest.gone] == ["public.gone"]
        assert [(item.name, item.change) for item in manifest.changed] == [("public.orders", 60)]
        figures = Comparison(later, earlier, manifest)
        assert figures.stored.percent == 100.0
        assert figures.rows.before is None, "a sum of what was not all counted would jump"

    def test_a_bucket_that_counts_the_whole_and_its_prefixes_counts_once(self, make_backup: MakeBackup) -> None:
        counts = {"objects": 20, "images/": 15, "icons/": 5}
        backup = make_backup(manifest={"engine": {"counts": counts, "file_count": 20}})
        assert Comparison(backup, backup, Manifest(backup, backup)).rows.now == 20

    def test_the_page_and_its_table_say_it(self, log_in: LogIn, pair: tuple[Backup, Backup]) -> None:
        earlier, later = pair
        page = text(log_in("viewer").get(url(later)))
        for told in ("Compared with the one before", "+100 %", "1 is new: public.fresh", "1 is gone: public.gone"):
            assert told in page
        assert "+60" in page and url(earlier) in page
        assert "Compared with" not in text(log_in("viewer").get(url(earlier)))

    @pytest.mark.parametrize(
        "other",
        [{"type": "selective"}, {"status": "failed"}, {"include": ["public.orders"]}, {"collection": "users"}],
        ids=lambda other: next(iter(other)),
    )
    def test_only_with_its_like(self, other: dict[str, Any], make_backup: MakeBackup) -> None:
        now = timezone.now()
        like = make_backup(created_at=now - timedelta(days=2), status=Status.EXPIRED)
        make_backup(**{"created_at": now - timedelta(days=1), **other})
        assert previous_of(make_backup()) == like

    def test_what_is_unlike_before_is_marked(self, log_in: LogIn, pair: tuple[Backup, Backup]) -> None:
        _, later = pair
        finding = {"measure": "item", "name": "public.orders", "change": "jump"}
        numbers = {"found": 160, "previous": 100, "low": 90, "high": 110}
        size = {**finding, **numbers, "measure": "stored", "name": ""}
        Anomaly.objects.create(backup=later, database_id="shop", findings=[{**finding, **numbers}, size])
        page = text(log_in("viewer").get(url(later)))
        assert '<tr class="bks-odd"><td>public.orders' in page and '<div class="bks-odd"><dt>Stored' in page
        Anomaly.objects.update(state="right")
        assert "bks-odd" not in text(log_in("viewer").get(url(later)))

    def test_figures_are_written_with_their_sign(self) -> None:
        assert [signed(number) for number in (1200, -3, 0, None)] == ["+1,200", "\u22123", "0", "–"]
        figure = type("Figure", (), {"now": 90, "before": 100, "percent": -10.0})()
        assert versus(figure) == "was 100, \u221210 %"


class TestManifest:
    @pytest.fixture
    def wide(self, make_backup: MakeBackup) -> Backup:
        return make_backup(manifest=counted(**{f"t{number:04}": number for number in range(3000)}))

    def test_a_long_one_is_bounded_and_searched(self, log_in: LogIn, wide: Backup) -> None:
        browser = log_in("viewer")
        page = text(browser.get(url(wide)))
        assert page.count("<td>public.t") == 100 and "The first 100 of 3000" in page.replace(",", "")
        found = text(browser.get(url(wide, "counts"), {"find": "T0007"}))
        assert found.count("<td>public.t") == 1 and "<html" not in found
        assert "public.t0007" in text(browser.get(url(wide), {"find": "t0007"})), "without a script, too"
        assert "Nothing is called like" in text(browser.get(url(wide, "counts"), {"find": "<nowhere>"}))

    def test_its_length_asks_no_more_questions(self, log_in: LogIn, wide: Backup, make_backup: MakeBackup) -> None:
        browser = log_in("viewer")
        asked = []
        for backup in (wide, make_backup(created_at=timezone.now() - timedelta(days=9))):
            with CaptureQueriesContext(connection) as queries:
                browser.get(url(backup))
            asked.append(len(queries))
        assert asked[0] == asked[1]


class TestTimeline:
    def test_a_run_shows_each_phase_with_its_seconds(self, log_in: LogIn, make_backup: MakeBackup) -> None:
        backup = make_backup(attempt=1)
        at = timezone.now()
        for number, (name, seconds) in enumerate([("preflight", 1), ("pre_hook", 2), ("dump", 90), ("read_back", 7)]):
            ended = at + timedelta(seconds=seconds)
            values = {"job_kind": "backup", "job_id": backup.pk, "attempt": 1, "number": number, "name": name}
            PhaseTime.objects.create(**values, began_at=at, ended_at=ended, bytes_done=9_000_000)
            at = ended
        page = text(log_in("viewer").get(url(backup)))
        for told in ("Timeline", "Hook before", "1 min 30 s", "97.7 KiB/s", 'style="width: 90.0%"'):
            assert told in page

    def test_only_what_is_new_is_sent_while_it_runs(self, log_in: LogIn, make_backup: MakeBackup) -> None:
        backup, browser = make_backup(Status.IN_PROGRESS, phase="dump", bytes_done=1), log_in("viewer")
        page = browser.get(url(backup))
        asked = {"seen": page.context["seen"], "after": page.context["after"]}
        LogLine.objects.create(job_kind="backup", job_id=backup.pk, attempt=1, message="half of it")
        answer = browser.get(page.context["progress_url"], asked)
        assert 'hx-swap-oob="beforeend"' in text(answer) and "half of it" in text(answer)
        assert "dumping" not in text(answer) and "<h1" not in text(answer)
        Backup.objects.update(cancel_requested=True)
        whole = browser.get(page.context["progress_url"], asked)
        assert whole.headers["HX-Retarget"] == "#job" and "<h1" in text(whole) and "Cancelling" in text(whole)


class TestDeletion:
    def test_the_last_good_one_is_told(self, log_in: LogIn, make_backup: MakeBackup) -> None:
        page = text(log_in("admin").get(url(make_backup(), "delete")))
        assert "only completed backup" in page and "The copy at Disk" in page and "976.6 KiB" in page

    def test_what_stays_is_told(self, log_in: LogIn, pair: tuple[Backup, Backup]) -> None:
        Backup.objects.filter(pk=pair[1].pk).update(proven_at=timezone.now())
        page = text(log_in("admin").get(url(pair[1], "delete")))
        for told in ("1 other good backup of Shop", "the newest good one", "only one of Shop that a drill has proven"):
            assert told in page
        assert "only completed" not in page

    def test_what_others_build_on_cannot_go(self, log_in: LogIn, pair: tuple[Backup, Backup]) -> None:
        full, part = pair
        Backup.objects.filter(pk=part.pk).update(parent=full, type="incremental")
        page = text(log_in("admin").get(url(full, "delete")))
        assert f"is what {part.pk} builds on" in page and "bks-danger" not in page
        assert f"{full.pk}, which it builds on." in text(log_in("admin").get(url(part, "delete")))

    def test_with_four_eyes_it_is_asked_for(self, log_in: LogIn, make_backup: MakeBackup, settings: Any) -> None:
        settings.BACKUPSITE_FOUR_EYES = True
        backup = make_backup()
        assert "Ask for its deletion" in text(log_in("admin").get(url(backup, "delete")))
        assert "Ask for its deletion" in text(log_in("admin").get(url(backup)))


def test_copies_say_how_well_they_are_known(log_in: LogIn, make_backup: MakeBackup, disk: Destination) -> None:
    backup = make_backup()
    page = text(log_in("viewer").get(url(backup)))
    assert "not read again since" in page and "Lock this copy" not in page
    Copy.objects.update(verified_at=timezone.now() + timedelta(minutes=1))
    assert "verified again" in text(log_in("viewer").get(url(backup)))
    Copy.objects.update(state="quarantined", error="The digest differs.")
    page = text(log_in("viewer").get(url(backup)))
    assert "The digest differs." in page and "not read again" not in page and "sha256sum" not in page


def test_the_way_without_backupsite_is_there_to_copy(log_in: LogIn, make_backup: MakeBackup) -> None:
    backup = make_backup(encryption="age")
    page = text(log_in("viewer").get(url(backup)))
    assert "age -d -i key.txt" in page and "pg_restore" in page and "data-copy" in page
    assert "the age secret key" in page and "createdb -T template0 TARGET" in page
    Database.objects.all().delete()
    assert "pg_restore" in text(log_in("viewer").get(url(backup))), "the Database may be gone"
