"""The way through a restore: four answers, one that writes, and what it would do to a real server told before."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from backups.models import Approval, Backup, Restore
from backups.services.preview_restore import Fate, preview_restore
from databases.models import Database
from databases.services.save import save_database
from jobs.errors import BackupError
from tests.api import browser_of
from tests.room import back_up, local_destination, register
from tests.servers.postgres import PostgresServer

LogIn = Callable[[str], Client]
MakeBackup = Callable[..., Backup]
KEY = "AGE-SECRET-KEY-1-nobodys"


def text(answer: Any) -> str:
    return str(answer.content.decode())


def url(backup: Backup, name: str = "restore") -> str:
    return f"/admin/backups/backup/{backup.pk}/{name}/"


class TestSteps:
    def test_each_is_a_post_and_only_the_last_one_writes(self, log_in: LogIn, make_backup: MakeBackup) -> None:
        backup, browser = make_backup(encryption="age"), log_in("operator")
        first = text(browser.get(url(backup)))
        assert 'name="target" value="shop"' in first and "where it came from" in first
        second = browser.post(url(backup), {"step": "target", "target": "shop"})
        assert 'name="tick" value="public.orders"' in text(second)
        chosen = {"step": "what", "target": "shop", "ticks": "1", "tick": ["public.orders"], "drop_existing": "on"}
        third = text(browser.post(url(backup), chosen))
        assert '<input type="hidden" name="include" value="public.orders">' in third
        assert '<input type="hidden" name="drop_existing" value="on">' in third
        assert "preview-restore" in third and 'name="identity"' in third
        assert not Restore.objects.exists()
        last = {"step": "confirm", "target": "shop", "include": "public.orders", "drop_existing": "on"}
        answer = browser.post(url(backup), {**last, "confirm": "shop", "identity": KEY})
        restore = Restore.objects.get()
        assert answer.headers["Location"] == f"/admin/backups/restore/{restore.pk}/change/"
        assert (restore.include, restore.drop_existing) == (["public.orders"], True)

    def test_a_wrong_id_starts_nothing_and_sends_no_secret_back(self, log_in: LogIn, make_backup: MakeBackup) -> None:
        backup = make_backup(encryption="age")
        sent = {"step": "confirm", "target": "shop", "confirm": "shoq", "identity": KEY}
        page = text(log_in("operator").post(url(backup), sent))
        assert "Repeat the id of the target: shop." in page and KEY not in page
        assert not Restore.objects.exists()

    def test_a_step_cannot_be_passed_by(self, log_in: LogIn, make_backup: MakeBackup) -> None:
        backup, browser = make_backup(), log_in("operator")
        for sent in ({"step": "target"}, {"step": "what"}, {"step": "confirm", "confirm": "shop"}):
            page = text(browser.post(url(backup), sent))
            assert 'type="radio" name="target"' in page and "This field is required" in page
        assert not Restore.objects.exists()

    def test_the_way_back_keeps_what_was_chosen(self, log_in: LogIn, make_backup: MakeBackup) -> None:
        sent = {"to": "what", "target": "shop", "include": "public.orders\nother.*", "drop_existing": "on"}
        page = text(log_in("operator").post(url(make_backup()), sent))
        assert 'value="public.orders" checked' in page and ">other.*</textarea>" in page
        assert '<input type="hidden" name="target" value="shop">' in page
        assert "Nothing was started" not in page

    @pytest.mark.parametrize("count", [29, 60])
    def test_many_targets_are_found_by_typing(self, count: int, log_in: LogIn, make_backup: MakeBackup) -> None:
        backup = make_backup()
        rows = [Database(pk=f"d{number}", name=f"D{number}", engine="postgres") for number in range(count)]
        Database.objects.bulk_create(rows)
        page = text(log_in("operator").get(url(backup)))
        assert ('list="targets"' in page) == (count == 60)
        assert page.count('type="radio" name="target"') == (0 if count == 60 else 30)

    def test_viewers_are_kept_out_and_a_get_shows_no_preview(self, log_in: LogIn, make_backup: MakeBackup) -> None:
        backup = make_backup()
        for name in ("restore", "preview-restore"):
            assert log_in("viewer").post(url(backup, name), {"target": "shop", "confirm": "shop"}).status_code == 403
        assert log_in("operator").get(url(backup, "preview-restore")).status_code == 405
        assert not Restore.objects.exists()

    @pytest.mark.parametrize("drops", [True, False])
    def test_with_four_eyes_what_destroys_is_asked_for(
        self, drops: bool, log_in: LogIn, make_backup: MakeBackup, settings: Any
    ) -> None:
        settings.BACKUPSITE_FOUR_EYES = True
        backup, browser = make_backup(), log_in("operator")
        sent = {"target": "shop", **({"drop_existing": "on"} if drops else {})}
        page = text(browser.post(url(backup), {**sent, "step": "what"}))
        assert ("Ask for a restore" in page) == drops
        browser.post(url(backup), {**sent, "step": "confirm", "confirm": "shop"})
        assert (Approval.objects.count(), Restore.objects.count()) == ((1, 0) if drops else (0, 1))

    def test_what_is_lost_and_masked_is_said(self, log_in: LogIn, make_backup: MakeBackup, shop: Database) -> None:
        backup = make_backup()
        shop.masking_rules.create(item="public.people", column="mail", method="null")
        sent = {"step": "what", "target": "shop", "drop_existing": "on"}
        page = text(log_in("operator").post(url(backup), sent))
        assert "what changed there since is lost" in page and "public.people.mail" in page
        Backup.objects.update(status="expired")
        assert "no good backup" in text(log_in("operator").post(url(backup), sent))


@pytest.mark.django_db(transaction=True)
class TestPreview:
    """Of a real PostgreSQL, of what it holds now."""

    @pytest.fixture
    def backup(
        self, postgres18: PostgresServer, fresh_database: Callable[..., str], tmp_path: Path, settings: Any
    ) -> Backup:
        settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(postgres18.bin_dir)]}
        local_destination(tmp_path / "disk")
        source = fresh_database(postgres18)
        postgres18.psql("CREATE TABLE orders AS SELECT 1 AS n; CREATE TABLE fresh AS SELECT 1 AS n", source)
        return back_up(register(postgres18, source, id="source"))

    @pytest.fixture
    def target(self, backup: Backup, postgres18: PostgresServer, fresh_database: Callable[..., str]) -> Database:
        name = fresh_database(postgres18)
        postgres18.psql("CREATE TABLE orders AS SELECT 2 AS n; CREATE TABLE own AS SELECT 3 AS n", name)
        return register(postgres18, name, id="target", options={"exclude_tables": ["own"]})

    @pytest.mark.parametrize(
        ("asked", "fates"),
        [
            ({"drop_existing": True}, {"orders": Fate.REPLACED, "own": Fate.REMOVED, "fresh": Fate.ADDED}),
            ({}, {"orders": Fate.REFUSED, "own": Fate.REFUSED, "fresh": Fate.ADDED}),
            ({"include": ["public.orders"], "drop_existing": True}, {"orders": Fate.REPLACED, "own": Fate.KEPT}),
            ({"include": ["public.fresh"]}, {"orders": Fate.KEPT, "own": Fate.KEPT, "fresh": Fate.ADDED}),
        ],
        ids=["all replaced", "nothing replaced", "one replaced", "one added"],
    )
    def test_it_tells_what_becomes_of_each(
        self, asked: dict[str, Any], fates: dict[str, Fate], backup: Backup, target: Database
    ) -> None:
        preview = preview_restore(backup=backup, target=target, **asked)
        assert {row.name: row.fate for row in preview.rows} == {f"public.{name}": fate for name, fate in fates.items()}
        assert preview.is_refused == (Fate.REFUSED in fates.values())

    def test_the_page_shows_it_and_says_when_the_server_is_away(self, backup: Backup, target: Database) -> None:
        browser = browser_of("operator")
        sent = {"target": "target", "drop_existing": "on"}
        page = text(browser.post(url(backup, "preview-restore"), sent))
        assert "public.own" in page and "removed" in page and "<html" not in page
        assert "1 table is removed: the backup does not hold it." in page and "1 table is added." in page
        refused = text(browser.post(url(backup, "preview-restore"), {"target": "target"}))
        assert "2 tables are there already." in refused and "is added" not in refused
        save_database(database=target, values={"port": 1}, create=False)
        page = text(browser.post(url(backup, "preview-restore"), sent))
        assert "did not say what it holds" in page
        with pytest.raises(BackupError):
            preview_restore(backup=backup, target=target)
