"""Nobody does by POST what the role does not allow, and no GET changes anything."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.core import serializers
from django.test import Client

from backups.destinations import open_storage
from backups.models import Backup, Copy, Destination, Restore, Verification
from backupsite.api.models import ApiKey
from databases.models import Database
from jobs.models import Status

LogIn = Callable[[str], Client]
MakeBackup = Callable[..., Backup]

OPERATOR = ["back-up", "check", "verify", "drill", "drill-now", "restore", "cancel"]
ADMIN = ["lock", "unlock", "label", "backup-delete", "edit", "delete", "add", "destination-edit", "destination-delete"]
ADMIN += ["drill-plan", "destination-add", "user-add", "user", "key-add", "key-revoke"]
ADMIN += ["clone", "check-edited", "check-new", "read-connection"]


@pytest.fixture
def actions(make_backup: MakeBackup, shop: Database, disk: Destination) -> dict[str, str]:
    """The address of everything that can be done, with rows for which it could be done."""
    done = make_backup()
    waiting = make_backup(Status.PENDING)
    key = ApiKey.objects.create(name="robot", role="viewer", digest="0" * 64)
    backup = f"/admin/backups/backup/{done.pk}"
    return {
        "back-up": "/admin/databases/database/shop/back-up/",
        "back-up-selective": "/admin/databases/database/shop/back-up-selective/",
        "check": "/admin/databases/database/shop/check/",
        "verify": f"{backup}/verify/",
        "drill": f"{backup}/drill/",
        "drill-now": "/admin/databases/database/shop/drill/",
        "drill-plan": "/admin/databases/database/shop/drill-plan/",
        "restore": f"{backup}/restore/",
        "cancel": f"/admin/backups/backup/{waiting.pk}/cancel/",
        "lock": f"{backup}/lock/",
        "unlock": f"{backup}/unlock/",
        "label": f"{backup}/label/",
        "backup-delete": f"{backup}/delete/",
        "edit": "/admin/databases/database/shop/edit/",
        "delete": "/admin/databases/database/shop/delete/",
        "add": "/admin/databases/database/add/?engine=postgres",
        "clone": "/admin/databases/database/shop/clone/",
        "check-edited": "/admin/databases/database/shop/check-edited/",
        "check-new": "/admin/databases/database/check-new/",
        "read-connection": "/admin/databases/database/read-connection/",
        "destination-edit": "/admin/backups/destination/disk/edit/",
        "destination-delete": "/admin/backups/destination/disk/delete/",
        "destination-add": "/admin/backups/destination/add/?kind=local",
        "user-add": "/admin/auth/user/add/",
        "user": "/admin/auth/user/1/edit/",
        "key-add": "/admin/api/apikey/add/",
        "key-revoke": f"/admin/api/apikey/{key.pk}/revoke/",
    }


def _site() -> str:
    """Everything the site knows, but who is logged in, and what the audit says of who was refused."""
    left_out = ("sessions", "contenttypes", "accounts", "audit")
    models = [model for model in apps.get_models() if model._meta.app_label not in left_out]
    rows = [row for model in models for row in model._default_manager.order_by("pk")]
    return str(serializers.serialize("json", rows))


def test_a_viewer_does_nothing_by_post(log_in: LogIn, actions: dict[str, str]) -> None:
    browser = log_in("viewer")
    before = _site()
    form = {"confirm": "shop", "target": "shop"}
    assert {name: browser.post(url, form).status_code for name, url in actions.items()} == dict.fromkeys(actions, 403)
    assert _site() == before


def test_an_operator_changes_nothing_that_is_protected(log_in: LogIn, actions: dict[str, str]) -> None:
    browser = log_in("operator")
    before = _site()
    assert {name: browser.post(actions[name], {}).status_code for name in ADMIN} == dict.fromkeys(ADMIN, 403)
    assert _site() == before


def test_no_get_changes_anything(log_in: LogIn, actions: dict[str, str]) -> None:
    browser = log_in("admin")
    before = _site()
    for method in (browser.get, browser.head):
        answers = {name: method(url).status_code for name, url in actions.items()}
        assert set(answers.values()) <= {200, 405}, answers
    assert _site() == before


def test_who_is_not_logged_in_is_sent_to_the_login(actions: dict[str, str]) -> None:
    for url in actions.values():
        answer = Client().post(url, {})
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/")


def test_a_post_from_elsewhere_is_refused(log_in: LogIn, actions: dict[str, str]) -> None:
    browser = log_in("admin")
    browser.handler.enforce_csrf_checks = True
    assert browser.post(actions["lock"]).status_code == 403
    assert not Backup.objects.filter(locked=True).exists()


@pytest.mark.parametrize("address", ["/admin/auth/user/", "/admin/api/apikey/"])
@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_admins_see_users_and_keys(log_in: LogIn, address: str, role: str) -> None:
    assert log_in(role).get(address).status_code == 403


class TestOperator:
    def test_backs_up(self, log_in: LogIn, actions: dict[str, str]) -> None:
        browser = log_in("operator")
        answer = browser.post(actions["back-up"])
        backup = Backup.objects.order_by("-created_at").first()
        assert backup is not None
        assert (backup.status, str(backup.requested_by)) == (Status.PENDING, "operator")
        assert answer["Location"] == f"/admin/backups/backup/{backup.pk}/change/"

    def test_cancels(self, log_in: LogIn, actions: dict[str, str]) -> None:
        log_in("operator").post(actions["cancel"])
        assert Backup.objects.filter(status=Status.CANCELLED).count() == 1

    def test_verifies(self, log_in: LogIn, actions: dict[str, str]) -> None:
        log_in("operator").post(actions["verify"])
        assert Verification.objects.get().status == Status.PENDING

    def test_restores_after_typing_the_target(self, log_in: LogIn, actions: dict[str, str], shop: Database) -> None:
        browser = log_in("operator")
        refused = browser.post(actions["restore"], {"target": "shop", "confirm": "shopp"})
        assert not Restore.objects.exists()
        assert b"Repeat the id of the target" in refused.content
        browser.post(actions["restore"], {"target": "shop", "confirm": "shop", "drop_existing": "on"})
        restore = Restore.objects.get()
        assert (restore.target_id, restore.drop_existing) == ("shop", True)


class TestAdmin:
    def test_locks_and_unlocks(self, log_in: LogIn, actions: dict[str, str]) -> None:
        browser = log_in("admin")
        browser.post(actions["lock"])
        assert Backup.objects.filter(locked=True).count() == 1
        browser.post(actions["unlock"])
        assert not Backup.objects.filter(locked=True).exists()

    def test_a_locked_backup_stays_and_says_so(self, log_in: LogIn, actions: dict[str, str]) -> None:
        browser = log_in("admin")
        browser.post(actions["lock"])
        answer = browser.post(actions["backup-delete"], follow=True)
        assert b"is locked" in answer.content
        assert Backup.objects.filter(locked=True).count() == 1

    def test_deletes_a_backup_with_its_object(self, log_in: LogIn, actions: dict[str, str], disk: Destination) -> None:
        copy = Copy.objects.get()
        assert open_storage(disk).stat(copy.key) is not None
        log_in("admin").post(actions["backup-delete"])
        assert not Backup.objects.filter(pk=copy.backup_id).exists()
        assert open_storage(disk).stat(copy.key) is None

    def test_is_told_that_the_last_good_backup_goes(self, log_in: LogIn, actions: dict[str, str]) -> None:
        assert b"only completed backup" in log_in("admin").get(actions["backup-delete"]).content

    def test_revokes_a_key(self, log_in: LogIn, actions: dict[str, str]) -> None:
        log_in("admin").post(actions["key-revoke"])
        assert ApiKey.objects.get().revoked_at is not None

    def test_deletes_a_database_and_keeps_its_backups(self, log_in: LogIn, actions: dict[str, str]) -> None:
        browser = log_in("admin")
        browser.post(actions["delete"])
        assert not Database.objects.exists()
        backup = Backup.objects.filter(status=Status.COMPLETED).get()
        assert browser.get(f"/admin/backups/backup/{backup.pk}/change/").status_code == 200
