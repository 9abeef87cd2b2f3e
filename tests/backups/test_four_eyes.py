"""What a second person has to agree to is done by nobody alone, whatever road is taken."""

import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from backups.models import Approval, Backup, Restore
from backups.pipeline.keys import generate_identity
from backups.services.ask_approval import ask_to_delete_backup, ask_to_restore, fingerprint_of
from backups.services.decide_approval import approve, expire_approvals
from backups.services.prune import begin_deletion, delete_backup
from backups.services.restore import request_restore
from backupsite.api.services.api_keys import create_api_key
from backupsite.config.apply import apply_document
from backupsite.config.reading import read_text
from databases.models import Database
from databases.services.delete import delete_database
from databases.services.save_masking import save_masking
from jobs.errors import BackupError
from jobs.fields import unseal
from jobs.models import Status
from jobs.registry import sweep_steps
from notifications.models import Event
from tests.api import api, make_backup, make_database, make_destination, user_with

pytestmark = pytest.mark.django_db
BODY = {"target_database_id": "staging", "confirm": "staging", "drop_existing": True}


@pytest.fixture(autouse=True)
def four_eyes(settings: Any) -> None:
    settings.BACKUPSITE_FOUR_EYES = True


@pytest.fixture
def staging() -> Database:
    return make_database("staging", name="Staging")


@pytest.fixture
def backup(staging: Database) -> Backup:
    return make_backup(make_database(), destination=make_destination())


def second(role: str = "admin") -> Any:
    return user_with(role, username=f"second-{role}")


def as_second(role: str = "admin") -> APIClient:
    client = APIClient()
    client.force_authenticate(second(role))
    return client


def asked(client: APIClient, backup: Backup, **body: Any) -> Approval:
    answer = client.post(f"/api/backups/{backup.pk}/restore", {**BODY, **body}, format="json")
    assert answer.status_code == 202 and answer.json()["status"] == "waiting", answer.json()
    assert answer.headers["Location"] == f"/api/approvals/{answer.json()['id']}"
    return Approval.objects.get(pk=answer.json()["id"])


def kinds() -> list[str]:
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


# What is asked for


def test_a_restore_over_something_waits_and_is_done_once(backup: Backup) -> None:
    approval = asked(api("operator"), backup, include=["public.orders"])
    assert not Restore.objects.exists()
    assert "Staging (staging, 127.0.0.1/shop)" in approval.summary and "emptied first" in approval.summary
    answer = as_second("operator").post(f"/api/approvals/{approval.pk}/approve", {"note": "agreed"}, format="json")
    assert (answer.status_code, answer.json()["status"]) == (200, "approved"), answer.json()
    restore = Restore.objects.get()
    assert answer.json()["outcome"] == restore.pk
    assert (restore.drop_existing, restore.include, restore.target_id) == (True, ["public.orders"], "staging")
    assert restore.requested_by == user_with("operator")
    again = as_second("operator").post(f"/api/approvals/{approval.pk}/approve", format="json")
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
    assert Restore.objects.count() == 1
    assert kinds() == ["security.approval_requested", "security.approval_approved"]


def test_a_restore_that_loses_nothing_needs_nobody(backup: Backup) -> None:
    answer = api("operator").post(f"/api/backups/{backup.pk}/restore", {**BODY, "drop_existing": False}, format="json")
    assert answer.status_code == 202 and Restore.objects.count() == 1


def test_a_deletion_waits(backup: Backup) -> None:
    answer = api().delete(f"/api/backups/{backup.pk}")
    assert answer.status_code == 202 and answer.json()["action"] == "delete_backup"
    backup.refresh_from_db()
    assert backup.status == Status.COMPLETED
    as_second().post(answer.headers["Location"] + "/approve", format="json")
    backup.refresh_from_db()
    assert backup.status == Status.DELETING


def test_a_database_waits(backup: Backup) -> None:
    answer = api().delete("/api/databases/shop")
    assert answer.status_code == 202 and Database.objects.filter(pk="shop").exists()
    as_second().post(answer.headers["Location"] + "/approve", format="json")
    assert not Database.objects.filter(pk="shop").exists()


def test_the_same_is_not_asked_for_twice(backup: Backup) -> None:
    asked(api("operator"), backup)
    again = api().post(f"/api/backups/{backup.pk}/restore", BODY, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")


def test_what_is_wrong_is_said_before_anybody_is_asked(backup: Backup) -> None:
    answer = api().post(f"/api/backups/{backup.pk}/restore", {**BODY, "confirm": "shop"}, format="json")
    assert answer.json()["code"] == "unconfirmed"
    Backup.objects.update(locked=True)
    assert api().delete(f"/api/backups/{backup.pk}").json()["code"] == "wrong_state"
    assert not Approval.objects.exists()


def test_a_key_that_is_nobodys_cannot_ask(backup: Backup) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {_key('admin', None)}")
    answer = client.delete(f"/api/backups/{backup.pk}")
    assert (answer.status_code, answer.json()["code"]) == (403, "needs_person")


# Who decides


def _key(role: str, user: Any) -> str:
    return create_api_key(name=f"program of {user}", role=role, user=user)[1]


@pytest.mark.parametrize("step", ["approve", "refuse"])
def test_who_asked_does_not_decide(step: str, backup: Backup) -> None:
    approval = asked(api(), backup)
    answer = api().post(f"/api/approvals/{approval.pk}/{step}", format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_second")
    assert Approval.objects.get().state == "waiting"


def test_who_asked_with_a_key_does_not_decide_either(backup: Backup) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {_key('admin', user_with('admin'))}")
    approval = asked(client, backup)
    assert api().post(f"/api/approvals/{approval.pk}/approve", format="json").json()["code"] == "not_second"


def test_no_key_decides(backup: Backup) -> None:
    approval = asked(api(), backup)
    for user in (user_with("admin"), second(), None):
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Api-Key {_key('admin', user)}")
        answer = client.post(f"/api/approvals/{approval.pk}/approve", format="json")
        assert (answer.status_code, answer.json()["code"]) == (403, "needs_person")


def test_a_token_is_a_person(backup: Backup) -> None:
    approval = asked(api(), backup)
    user = second()
    user.set_password("correct horse")
    user.save()
    token = (
        APIClient()
        .post("/api/token", {"username": user.username, "password": "correct horse"}, format="json")
        .json()["access"]
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert client.post(f"/api/approvals/{approval.pk}/refuse", format="json").json()["status"] == "refused"


@pytest.mark.parametrize(("asks", "decides"), [("admin", "operator"), ("operator", "viewer")])
def test_a_lesser_role_does_not_decide(asks: str, decides: str, backup: Backup) -> None:
    approval = asked(api(asks), backup)
    answer = as_second(decides).post(f"/api/approvals/{approval.pk}/approve", format="json")
    assert answer.status_code == 403 and not Restore.objects.exists()


def test_who_was_disabled_neither_decides_nor_has_asked(backup: Backup) -> None:
    approval = asked(api("operator"), backup)
    gone = second()
    gone.is_active = False
    with pytest.raises(BackupError, match="role"):
        approve(approval=approval, user=gone)
    asker = user_with("operator")
    asker.is_active = False
    asker.save()
    assert approve(approval=approval, user=user_with("admin", username="third")).state == "failed"
    assert not Restore.objects.exists() and kinds()[-1] == "security.approval_failed"


def test_only_who_asked_takes_it_back(backup: Backup) -> None:
    approval = asked(api("operator"), backup)
    assert as_second().post(f"/api/approvals/{approval.pk}/withdraw", format="json").json()["code"] == "not_first"
    answer = api("operator").post(f"/api/approvals/{approval.pk}/withdraw", format="json")
    assert answer.json()["status"] == "withdrawn"


# What has changed meanwhile


def test_another_target_is_not_what_was_agreed_to(backup: Backup) -> None:
    approval = asked(api("operator"), backup)
    Database.objects.filter(pk="staging").update(host="production.internal")
    assert approve(approval=approval, user=second()).state == "failed"
    assert not Restore.objects.exists()


def test_a_target_that_a_secret_leads_elsewhere_is_not_what_was_agreed_to(backup: Backup, staging: Database) -> None:
    """The `uri` of MongoDB is one: nothing that is shown of the Database changes with it."""
    staging.secrets = {"options": {"uri": "mongodb://scratch.internal"}}
    staging.save()
    approval = asked(api("operator"), backup)
    staging.save()  # sealed anew, the same
    again = Approval.objects.get(pk=approval.pk)
    assert unseal(again.parameters)["fingerprint"] == fingerprint_of(Database.objects.get(pk="staging"))
    staging.secrets = {"options": {"uri": "mongodb://production.internal"}}
    staging.save()
    assert approve(approval=approval, user=second()).state == "failed"
    assert not Restore.objects.exists()


def test_other_masking_is_not_what_was_agreed_to(backup: Backup, staging: Database) -> None:
    save_masking(database=staging, rules=[{"item": "public.people", "column": "mail", "method": "null"}])
    approval = asked(api("operator"), backup)
    assert "1 masking rules" in approval.summary
    save_masking(database=staging, rules=[])
    assert approve(approval=approval, user=second()).state == "failed"


def test_checks_are_those_of_the_moment(backup: Backup) -> None:
    approval = ask_to_delete_backup(backup=backup, user=user_with("admin"))
    Backup.objects.update(locked=True)
    decided = approve(approval=approval, user=second())
    assert decided.state == "failed" and "locked" in decided.outcome
    backup.refresh_from_db()
    assert backup.status == Status.COMPLETED


def test_nobody_waits_for_ever(backup: Backup) -> None:
    approval = asked(api("operator"), backup)
    assert expire_approvals() == 0
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(BackupError, match="expired"):
        approve(approval=approval, user=second())
    assert sweep_steps(slow=False)["expire_approvals"]() == 1
    approval.refresh_from_db()
    assert (approval.state, approval.decided_by_name) == ("expired", "")
    assert kinds()[-1] == "security.approval_expired"


@pytest.mark.parametrize("decision", ["approve", "refuse", "withdraw", "expire"])
def test_an_identity_is_sealed_and_erased_with_the_decision(decision: str, backup: Backup) -> None:
    identity, _ = generate_identity()
    approval = asked(api("operator"), backup, identity=identity)
    assert unseal(approval.parameters)["identity"] == identity
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM backups_approval")
        assert identity not in str(cursor.fetchall())
    if decision == "expire":
        Approval.objects.update(expires_at=timezone.now())
        expire_approvals()
    else:
        client = api("operator") if decision == "withdraw" else as_second()
        client.post(f"/api/approvals/{approval.pk}/{decision}", format="json")
    approval.refresh_from_db()
    assert approval.state != "waiting" and unseal(approval.parameters) is None
    assert all(identity not in event.message for event in Event.objects.all())


# No way around it


@pytest.mark.parametrize("consent", ["", None])
def test_every_service_refuses_without_leave(consent: Any, backup: Backup, staging: Database) -> None:
    over: dict[str, Any] = {"backup": backup, "target": staging, "confirm": "staging"}
    calls: list[Any] = [
        lambda: delete_backup(backup=backup, consent=consent),
        lambda: begin_deletion(backup=backup, consent=consent),
        lambda: delete_database(database=staging, consent=consent),
        lambda: request_restore(**over, drop_existing=True, consent=consent),
    ]
    for call in calls:
        with pytest.raises(BackupError) as raised:
            call()
        assert raised.value.code == "needs_approval"
    assert Database.objects.count() == 2 and not Restore.objects.exists()
    assert Backup.objects.get().status == Status.COMPLETED


def test_delete_extra_is_a_loss_too(backup: Backup, staging: Database) -> None:
    Backup.objects.update(engine="s3")
    Database.objects.update(engine="s3")
    backup.refresh_from_db()
    staging.refresh_from_db()
    with pytest.raises(BackupError) as raised:
        request_restore(backup=backup, target=staging, confirm="staging", delete_extra=True)
    assert raised.value.code == "needs_approval"
    user = user_with("operator")
    approval = ask_to_restore(backup=backup, target=staging, confirm="staging", delete_extra=True, user=user)
    assert "cleared of all else" in approval.summary


def test_nobody_writes_an_approval(backup: Backup) -> None:
    approval = asked(api("operator"), backup)
    for method in ("post", "put", "patch", "delete"):
        for path in ("/api/approvals", f"/api/approvals/{approval.pk}"):
            answer = getattr(as_second(), method)(path, {"state": "approved"}, format="json")
            assert answer.status_code == 405, (method, path)


def test_commands_on_the_host_go_through_and_are_told_of(backup: Backup, staging: Database) -> None:
    arguments = ["restore", backup.pk, "staging", "--drop-existing", "--yes", "--no-wait"]
    call_command(*arguments, stdout=StringIO(), stderr=StringIO())
    assert Restore.objects.count() == 1
    Database.objects.filter(pk="shop").update(managed=True)
    apply_document(document=read_text("databases: []"), prune=True)
    assert not Database.objects.filter(pk="shop").exists()
    assert kinds().count("security.approval_bypassed") == 2


def test_lists_ask_as_much_for_many_as_for_one(backup: Backup) -> None:
    asked(api("operator"), backup)

    viewer = api("viewer")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert viewer.get("/api/approvals").status_code == 200
        return len(captured)

    queries()  # who asks is known from then on
    one = queries()
    for number in range(5):
        Approval.objects.create(
            action="delete_backup", subject_id=f"bkp_{number}", summary="x", expires_at=timezone.now()
        )
    assert queries() == one


@pytest.mark.django_db(transaction=True)
def test_two_who_approve_at_once_do_it_once(backup: Backup) -> None:
    approval = asked(api("operator"), backup)
    others = [user_with("admin", username=name) for name in ("second", "third", "fourth")]
    start, outcomes = threading.Barrier(len(others)), []

    def decide(user: Any) -> None:
        start.wait()
        try:
            outcomes.append(approve(approval=approval, user=user).state)
        except BackupError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=[user]) for user in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["approved", "wrong_state", "wrong_state"]
    assert Restore.objects.count() == 1
