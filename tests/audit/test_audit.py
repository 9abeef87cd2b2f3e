"""The audit: everything that is done over HTTP is in it, nothing secret is, and nothing goes out of it again."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from audit.models import AuditIsAppendOnly, Entry, Purge
from audit.services.purge import purge_entries
from audit.services.record import record
from backupsite.api.services.api_keys import create_api_key
from jobs.registry import sweep_steps
from tests.api import api, browser_of, make_backup, make_database, user_with

pytestmark = pytest.mark.django_db
SECRET = "c4nary-of-the-audit"


def last() -> Entry:
    found = Entry.objects.first()
    assert found is not None
    return found


def entry(**values: Any) -> Entry:
    return record(**{"action": "database.change", "via": "admin", "outcome": "done", **values})


def test_a_change_over_the_api_says_who_what_and_from_where() -> None:
    make_database()
    client = api("admin")
    answer = client.patch("/api/databases/shop", {"name": "Store", "password": SECRET}, format="json")
    assert answer.status_code == 200
    found = last()
    assert (found.who, found.role, found.action, found.outcome) == ("the-admin", "admin", "database.change", "done")
    assert (found.object_type, found.object_id, found.address) == ("database", "shop", "127.0.0.1")
    fields = found.changes[0]["fields"]
    assert fields["name"] == ["Shop", "Store"]
    assert SECRET not in json.dumps(found.changes)


def test_a_key_is_named_with_its_role() -> None:
    make_database()
    key, secret = create_api_key(name="cron host", role="admin", user=user_with("admin"))
    APIClient().delete("/api/databases/shop", headers={"authorization": f"Api-Key {secret}"})
    found = last()
    assert (found.via, found.through, found.action) == ("key", f"cron host ({key.pk})", "database.delete")
    assert secret not in json.dumps(list(Entry.objects.values()), default=str)


def test_who_is_not_known_fills_no_audit_and_tries_to_log_in_are_in_it() -> None:
    nobody = Client()
    for address in ("/healthz", "/api/databases", "/admin/databases/database/add/", "/api/token/refresh"):
        nobody.post(address, {}, content_type="application/json")
    assert not Entry.objects.exists()
    nobody.post("/api/token", {"username": "ada", "password": "wrong"}, content_type="application/json")
    assert last().outcome == "refused"


def test_a_database_that_takes_no_entry_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    make_database()

    def full(**values: Any) -> Entry:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr("backupsite.auditing.record", full)
    assert api("admin").patch("/api/databases/shop", {"name": "Store"}, format="json").status_code == 200


def test_what_the_role_does_not_allow_is_there_as_refused() -> None:
    api("viewer").post("/api/databases", {"name": "x"}, format="json")
    found = last()
    assert (found.who, found.outcome, found.action) == ("the-viewer", "refused", "database.create")
    assert found.detail.startswith("permission_denied")


def test_reading_is_not_listed() -> None:
    api("viewer").get("/api/databases")
    browser_of("admin").get("/admin/")
    assert not Entry.objects.exists()


def test_a_login_is_listed_with_its_outcome_and_never_with_what_was_typed() -> None:
    user_with("viewer", password="correct horse")
    for name, password in (("the-viewer", SECRET), (SECRET, "x"), ("the-viewer", "correct horse")):
        APIClient().post("/api/token", {"username": name, "password": password}, format="json")
    found = [(row.action, row.who, row.outcome, row.detail) for row in Entry.objects.order_by("id")]
    assert found == [
        ("login", "the-viewer", "refused", "bad_credentials"),
        ("login", "", "refused", "bad_credentials"),
        ("login", "the-viewer", "done", ""),
    ]
    assert SECRET not in json.dumps(list(Entry.objects.values()), default=str)
    assert not [change for row in Entry.objects.all() for change in row.changes if change["type"] == "quota"]


def test_the_admins_login_and_logout_are_listed_too() -> None:
    browser_of("admin", password="correct horse")
    browser = Client()
    browser.post("/admin/login/", {"username": "admin", "password": "wrong"})
    browser.post("/admin/login/", {"username": "admin", "password": "correct horse"})
    browser.post("/admin/logout/")
    found = [(row.action, row.who, row.outcome) for row in Entry.objects.order_by("id")]
    assert found == [("login", "admin", "refused"), ("login", "admin", "done"), ("logout", "admin", "done")]


def test_the_address_is_the_one_that_the_trusted_proxies_say(settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    make_database()
    api("admin").patch(
        "/api/databases/shop", {"name": "S"}, format="json", headers={"x-forwarded-for": "6.6.6.6, 203.0.113.9"}
    )
    assert last().address == "203.0.113.9"


def test_a_change_in_the_admin_names_the_fields_that_changed() -> None:
    browser = browser_of("admin")
    user = user_with("viewer", username="ada")
    values = {"username": "ada", "role": "operator", "is_active": "on", "password": SECRET, "email": "a@example.org"}
    browser.post(f"/admin/auth/user/{user.pk}/edit/", values)
    found = last()
    assert (found.who, found.action, found.object_name) == ("admin", "user.change", "ada")
    changes = {name: value for change in found.changes for name, value in change["fields"].items()}
    assert changes["email"] == ["", "a@example.org"]
    assert changes["password"] == "changed"
    assert changes["group"] == {"added": ["operator"]}
    assert SECRET not in json.dumps(found.changes)


def test_a_form_with_faults_is_nothing_that_was_done() -> None:
    browser_of("admin").post("/admin/auth/user/add/", {"username": ""})
    assert not Entry.objects.exists()


def test_no_entry_is_changed_or_removed_by_code() -> None:
    found = entry()
    for call in (
        lambda: Entry.objects.update(who="nobody"),
        lambda: Entry.objects.all().delete(),
        lambda: Entry.objects.bulk_update([found], ["who"]),
        found.delete,
        found.save,
    ):
        with pytest.raises(AuditIsAppendOnly):
            call()


@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET who = 'nobody'", "DELETE FROM audit_entry"])
def test_the_site_database_itself_refuses_too(statement: str) -> None:
    entry()
    with pytest.raises(DatabaseError, match="audit"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Entry.objects.count() == 1


def test_a_purge_lets_old_entries_go_and_says_so(settings: Any) -> None:
    settings.BACKUPSITE_KEEP_AUDIT_DAYS = 30
    entry(at=timezone.now() - timedelta(days=40), who="old")
    entry(at=timezone.now() - timedelta(days=20), who="young")
    assert purge_entries() == 1
    assert purge_entries() == 0
    assert [row.who for row in Entry.objects.order_by("id")] == ["young", ""]
    assert (last().action, last().via) == ("audit.purge", "site")
    assert Purge.objects.count() == 1
    raw: QuerySet[Any] = Entry.objects.filter(who="young")
    with pytest.raises(DatabaseError), transaction.atomic():
        raw._raw_delete(raw.db)
    assert "audit" in sweep_steps(slow=False)


def test_two_years_are_kept_unless_told_otherwise() -> None:
    assert settings.BACKUPSITE_KEEP_AUDIT_DAYS == 730


@pytest.mark.django_db(transaction=True)
def test_flush_empties_the_audit_and_leaves_its_guard() -> None:
    entry()
    call_command("flush", interactive=False, verbosity=0)
    assert not Entry.objects.exists()
    entry()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_entry")


def test_admins_list_filter_and_search_it() -> None:
    entry(who="ada", object_id="shop")
    entry(who="bob", action="login", outcome="refused")
    client = api("admin")
    assert [row["who"] for row in client.get("/api/audit").json()["results"]] == ["bob", "ada"]
    for query in ("who=ada", "action=database.", "outcome=done", "search=shop", "object_id=shop"):
        assert [row["who"] for row in client.get(f"/api/audit?{query}").json()["results"]] == ["ada"], query
    later = (timezone.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert client.get(f"/api/audit?since={later}").json()["count"] == 0
    assert client.get(f"/api/audit/{last().pk}").json()["who"] == "bob"
    for role in ("viewer", "operator"):
        assert api(role).get("/api/audit").status_code == 403
        assert api(role).get("/api/audit/export").status_code == 403


def test_the_export_is_a_line_an_entry_the_oldest_first_and_is_listed_itself() -> None:
    for number in range(3):
        entry(who=f"user-{number}")
    answer = api("admin").get("/api/audit/export?who=user-1")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert [json.loads(line)["who"] for line in lines] == ["user-1"]
    assert last().action == "audit.export"
    everything = b"".join(api("admin").get("/api/audit/export").streaming_content)  # type: ignore[attr-defined]
    assert [json.loads(line)["who"] for line in everything.splitlines()][:3] == ["user-0", "user-1", "user-2"]


def test_the_list_asks_a_constant_number_of_questions() -> None:
    browser = browser_of("admin")

    def asked(address: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(address).status_code == 200
        return len(queries)

    for address in ("/admin/audit/entry/", "/api/audit"):
        entry()
        asked(address)  # what is looked up once a process
        few = asked(address)
        for _ in range(20):
            entry()
        assert asked(address) == few


def test_the_page_of_an_entry_shows_what_changed() -> None:
    browser = browser_of("admin")
    make_database()
    api("admin").patch("/api/databases/shop", {"name": "Store", "password": SECRET}, format="json")
    page = browser.get(f"/admin/audit/entry/{last().pk}/change/").content.decode()
    assert "Store" in page
    assert SECRET not in page
    for role in ("viewer", "operator"):
        assert browser_of(role).get("/admin/audit/entry/").status_code == 403


def test_nobody_adds_changes_or_deletes_an_entry_in_the_admin() -> None:
    found, browser = entry(), browser_of("admin")
    for address in ("add/", f"{found.pk}/delete/"):
        assert browser.post(f"/admin/audit/entry/{address}").status_code == 403
    assert browser.post(f"/admin/audit/entry/{found.pk}/change/").status_code == 405


def test_a_refusal_by_a_service_is_not_told_as_done() -> None:
    backup = make_backup(make_database())
    browser_of("operator").post(f"/admin/backups/backup/{backup.pk}/cancel/")
    found = last()
    assert (found.action, found.object_id, found.outcome) == ("backup.cancel", backup.pk, "refused")
    assert found.detail
