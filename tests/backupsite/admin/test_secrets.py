"""A secret that is put into a form comes out nowhere: no page, no message, no history."""

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from backups.models import Destination
from databases.models import Database
from jobs.fields import unseal

CANARY = "canary-7f3a9b"

LogIn = Callable[[str], Client]

FORM = {
    "name": "Shop",
    "host": "db.example.org",
    "port": "5432",
    "database_name": "shop",
    "username": "backup",
    "enabled": "on",
    "schedule": "own",
    "times": "30 3 * * *\n0 12 * * 0",
    "timezone": "Europe/Berlin",
    "catch_up": "latest",
    "compression": "zstd",
    "encryption": "none",
    "options.format": "custom",
    "options.sslmode": "prefer",
    "options.counts": "exact",
}


def _pages(browser: Client, *more: str) -> str:
    lists = ["", "databases/database/", "backups/destination/", "auth/user/", "api/apikey/"]
    urls = [f"/admin/{name}" for name in lists] + list(more)
    return "".join(browser.get(url, follow=True).content.decode() for url in urls)


def test_a_database_made_by_the_form_keeps_its_password_to_itself(log_in: LogIn) -> None:
    browser = log_in("admin")
    form = {**FORM, "id": "shop", "password": CANARY}
    answer = browser.post("/admin/databases/database/add/?engine=postgres", form, follow=True)
    database = Database.objects.get()
    assert unseal(database.secrets)["password"] == CANARY
    assert database.schedule == ["30 3 * * *", "0 12 * * 0"]
    pages = _pages(
        browser,
        "/admin/databases/database/shop/change/",
        "/admin/databases/database/shop/edit/",
        "/admin/databases/database/shop/history/",
    )
    assert CANARY not in answer.content.decode() + pages
    assert LogEntry.objects.count() == 1
    assert CANARY not in "".join(LogEntry.objects.values_list("change_message", flat=True))


class TestEditing:
    url = "/admin/databases/database/shop/edit/"

    def test_an_empty_password_leaves_it_as_it_is(self, log_in: LogIn, shop: Database) -> None:
        log_in("admin").post(self.url, {**FORM, "name": "Shop 2", "password": ""})
        shop.refresh_from_db()
        assert (shop.name, unseal(shop.secrets)["password"]) == ("Shop 2", "kept-secret")

    def test_a_typed_password_replaces_it(self, log_in: LogIn, shop: Database) -> None:
        log_in("admin").post(self.url, {**FORM, "password": CANARY})
        shop.refresh_from_db()
        assert unseal(shop.secrets)["password"] == CANARY
        entry = LogEntry.objects.get()
        assert "password" in entry.change_message
        assert CANARY not in entry.change_message

    def test_a_tick_removes_it(self, log_in: LogIn, shop: Database) -> None:
        log_in("admin").post(self.url, {**FORM, "password": "", "password-remove": "1"})
        shop.refresh_from_db()
        assert (unseal(shop.secrets)["password"], shop.secret_names) == ("", [])

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"port": "99999"}, "port"),
            ({"times": "99 3 * * *"}, "times"),
            ({"host": ""}, "host"),
            ({"timezone": "Mars"}, "timezone"),
        ],
    )
    def test_a_refused_form_shows_no_secret_and_asks_for_it_again(
        self, log_in: LogIn, shop: Database, wrong: dict[str, str], field: str
    ) -> None:
        answer = log_in("admin").post(self.url, {**FORM, "password": CANARY, **wrong})
        assert field in answer.context["form"].errors
        assert "Type it again" in answer.content.decode()
        assert CANARY not in answer.content.decode()
        shop.refresh_from_db()
        assert unseal(shop.secrets)["password"] == "kept-secret"


def test_an_id_that_exists_is_a_fault_of_that_field(log_in: LogIn, shop: Database) -> None:
    answer = log_in("admin").post("/admin/databases/database/add/?engine=postgres", {**FORM, "id": "shop"})
    assert "exists" in str(answer.context["form"].errors["id"])


def test_the_secret_key_of_a_destination_is_not_shown(log_in: LogIn) -> None:
    browser = log_in("admin")
    form = {"id": "far", "name": "Far", "bucket": "b", "access_key": "AK", "secret_key": CANARY, "addressing": "auto"}
    answer = browser.post("/admin/backups/destination/add/?kind=s3", form, follow=True)
    assert unseal(Destination.objects.get().secrets) == {"secret_key": CANARY}
    pages = _pages(browser, "/admin/backups/destination/far/change/", "/admin/backups/destination/far/edit/")
    assert CANARY not in answer.content.decode() + pages


def test_an_api_key_is_shown_once(log_in: LogIn) -> None:
    browser = log_in("admin")
    answer = browser.post("/admin/api/apikey/add/", {"name": "robot", "role": "viewer"})
    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert secret not in _pages(browser, f"/admin/api/apikey/{answer.context['object'].pk}/change/")
