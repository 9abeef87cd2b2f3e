"""A password that somebody else knows is changed before anything else, in the admin and over the API."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import Account, Session
from accounts.services.passwords import demand_change
from audit.models import Entry
from backupsite.management.prepare import make_first_admin
from tests.accounts.conftest import PASSWORD

pytestmark = pytest.mark.django_db
NEW = "a phrase of my own"
CHANGE = {"password": PASSWORD, "new_password": NEW, "again": NEW}


def logged_in(password: str = PASSWORD) -> Client:
    browser = Client()
    answer = browser.post("/admin/login/", {"username": "ada", "password": password})
    assert answer.status_code == 302
    return browser


def token(password: str = PASSWORD) -> "tuple[int, dict[str, str]]":
    answer = APIClient().post("/api/token", {"username": "ada", "password": password}, format="json")
    return answer.status_code, answer.json()


@pytest.mark.usefixtures("ada")
class TestAFirstPassword:
    @pytest.fixture(autouse=True)
    def demanded(self, ada: User) -> None:
        demand_change(user=ada)

    def test_it_opens_nothing_but_the_page_to_change_it(self) -> None:
        browser = logged_in()
        for address in ("/admin/", "/admin/auth/user/", "/admin/account/", "/admin/account/second-factor/"):
            answer = browser.get(address)
            assert (answer.status_code, answer["Location"]) == (302, "/admin/account/password/")
        assert browser.get("/admin/account/password/").status_code == 200
        refused = browser.get("/api/databases")
        assert (refused.status_code, refused.json()["code"]) == (403, "password_change_required")

    def test_changed_it_opens_everything_and_ends_the_other_sessions(self) -> None:
        other, browser = logged_in(), logged_in()
        assert browser.post("/admin/account/password/", CHANGE).status_code == 302
        assert browser.get("/admin/account/").status_code == 200
        assert browser.get("/api/databases").status_code == 200
        assert other.get("/api/databases").status_code in (401, 403)
        assert Session.objects.get().key == browser.session.session_key
        assert logged_in(NEW).get("/admin/account/").status_code == 200
        assert Entry.objects.filter(action="password.change", who="ada", outcome="done").count() == 1

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"password": "wrong"}, "password"),
            ({"again": "another"}, "again"),
            ({"new_password": PASSWORD, "again": PASSWORD}, "new_password"),
            ({"new_password": "password", "again": "password"}, "new_password"),
        ],
    )
    def test_what_is_no_new_password_changes_nothing(self, change: dict[str, str], field: str) -> None:
        browser = logged_in()
        answer = browser.post("/admin/account/password/", {**CHANGE, **change})
        assert field in answer.context["form"].errors
        assert Account.objects.get().must_change_password
        assert browser.get("/admin/")["Location"] == "/admin/account/password/"

    def test_a_program_gets_no_token_and_a_way_to_change_it(self) -> None:
        status, body = token()
        assert (status, body["code"]) == (403, "password_change_required")
        change = {"username": "ada", "password": PASSWORD, "new_password": NEW}
        assert APIClient().post("/api/password", change, format="json").status_code == 204
        assert token(NEW)[0] == 200
        assert token(PASSWORD)[0] == 401


def test_changing_by_the_api_needs_the_old_password_and_is_counted(ada: User) -> None:
    change = {"username": "ada", "password": "wrong", "new_password": NEW}
    for _ in range(10):
        assert APIClient().post("/api/password", change, format="json").status_code == 401
    assert APIClient().post("/api/password", {**change, "password": PASSWORD}, format="json").status_code == 429
    assert token()[0] == 429


def test_a_new_password_is_as_good_over_the_api_as_elsewhere(ada: User) -> None:
    weak = APIClient().post(
        "/api/password", {"username": "ada", "password": PASSWORD, "new_password": "password"}, format="json"
    )
    assert (weak.status_code, weak.json()["errors"][0]["field"]) == (400, "new_password")


def test_guesses_at_the_old_password_are_counted_with_those_at_the_login(ada: User) -> None:
    browser = logged_in()
    for _ in range(10):
        browser.post("/admin/account/password/", {**CHANGE, "password": "wrong"})
    assert token()[0] == 429


def test_only_a_password_that_was_made_here_has_to_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.filter(is_superuser=True).delete()
    make_first_admin(tell=lambda text: None)
    assert Account.objects.get(user__username="admin").must_change_password
    User.objects.all().delete()
    monkeypatch.setenv("BACKUPSITE_ADMIN_PASSWORD", NEW)
    make_first_admin(tell=lambda text: None)
    assert not Account.objects.exists()


def test_what_an_admin_sets_has_to_be_changed_and_ends_the_sessions(ada: User) -> None:
    bob = Client()
    admin = logged_in()
    user = {
        "username": "bob",
        "role": "viewer",
        "is_active": "on",
        "password": "given by ada",
        "must_change_password": "on",
    }
    admin.post("/admin/auth/user/add/", user)
    bob.post("/admin/login/", {"username": "bob", "password": "given by ada"})
    assert bob.get("/admin/")["Location"] == "/admin/account/password/"
    number = User.objects.get(username="bob").pk
    admin.post(f"/admin/auth/user/{number}/edit/", {**user, "password": "given again by ada"})
    assert not Session.objects.filter(user__username="bob").exists()


def test_the_admins_own_address_for_it_leads_to_the_same_form(ada: User) -> None:
    browser = logged_in()
    assert browser.post("/admin/password_change/", CHANGE).status_code == 302
    assert token(NEW)[0] == 200
