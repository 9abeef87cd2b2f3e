"""A pasted connection string and the check of a form: by POST, for admins, and no secret comes back."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from databases.models import Database
from databases.services.save import save_database
from jobs.fields import unseal
from tests.api import browser_of
from tests.servers.postgres import PostgresServer

PAGE = "/admin/databases/database/"
CANARY = "c4nary-9"
PASTED = f"postgres://shop:{CANARY}@db.example.org:5433/shop?sslmode=require"

pytestmark = pytest.mark.django_db


def of(server: PostgresServer, name: str, **more: Any) -> dict[str, Any]:
    where = {"host": server.host, "port": server.port, "username": server.user, "database_name": name}
    options = {"options.format": "custom", "options.sslmode": "prefer", "options.counts": "exact"}
    return {"engine": "postgres", **where, "password": server.password, **options, **more}


def read(browser: Client, text: str, engine: str = "postgres") -> Any:
    return browser.post(f"{PAGE}read-connection/", {"connection_string": text, "engine": engine})


class TestReading:
    def test_it_answers_with_the_fields_and_only_the_place_of_the_secret(self) -> None:
        answer = read(browser_of("admin"), PASTED)
        assert CANARY not in answer.content.decode()
        found = answer.json()
        assert found["fields"] == {
            "host": "db.example.org",
            "port": 5433,
            "username": "shop",
            "database_name": "shop",
            "options.sslmode": "require",
        }
        start, end, encoded = found["secrets"]["password"]
        assert (PASTED[start:end], encoded) == (CANARY, True)
        assert "no-store" in answer["Cache-Control"]

    def test_it_says_what_is_wrong_and_repeats_nothing(self) -> None:
        answer = read(browser_of("admin"), PASTED, "mongodb")
        assert "mongodb://" in answer.json()["fault"]
        assert CANARY not in answer.content.decode()

    def test_what_it_leaves_out_is_named(self) -> None:
        assert "application_name" in read(browser_of("admin"), f"{PASTED}&application_name=x").json()["said"]

    @pytest.mark.parametrize("role", ["viewer", "operator"])
    def test_only_admins_ask(self, role: str) -> None:
        assert read(browser_of(role), PASTED).status_code == 403

    @pytest.mark.parametrize("name", ["read-connection", "check-new"])
    def test_never_by_get(self, name: str) -> None:
        assert browser_of("admin").get(f"{PAGE}{name}/", {"connection_string": PASTED}).status_code == 405


class TestSaving:
    def test_what_is_still_in_the_box_fills_the_fields(self) -> None:
        browser = browser_of("admin")
        rest = {"timezone": "UTC", "schedule": "none", "catch_up": "latest", "compression": "zstd"}
        rest |= {"encryption": "none", "scheduled_type": "full", "enabled": "on"}
        rest |= {"options.format": "custom", "options.sslmode": "prefer", "options.counts": "exact"}
        answer = browser.post(
            f"{PAGE}add/?engine=postgres", {**rest, "name": "Shop", "id": "shop", "connection_string": PASTED}
        )
        assert answer.status_code == 302, answer.context["form"].errors
        made = Database.objects.get()
        assert (made.host, made.port, made.username, made.options["sslmode"]) == (
            "db.example.org",
            5433,
            "shop",
            "require",
        )
        assert unseal(made.secrets)["password"] == CANARY

    @pytest.mark.parametrize("text", [PASTED, f"mysql://shop:{CANARY}@db/shop"])
    def test_a_refused_form_shows_neither_the_string_nor_its_secret(self, text: str) -> None:
        answer = browser_of("admin").post(f"{PAGE}add/?engine=postgres", {"connection_string": text})
        page = answer.content.decode()
        assert "Nothing was saved." in page
        assert "Type it again" in page
        assert CANARY not in page


class TestChecking:
    @pytest.fixture(autouse=True)
    def tools(self, postgres18: PostgresServer, settings: Any) -> None:
        settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(postgres18.bin_dir)]}

    def test_a_new_one_is_tried_before_it_is_saved(
        self, postgres18: PostgresServer, fresh_database: Callable[[PostgresServer], str]
    ) -> None:
        sent = of(postgres18, fresh_database(postgres18))
        answer = browser_of("admin").post(f"{PAGE}check-new/", sent).content.decode()
        assert "Reachable" in answer
        assert not Database.objects.exists()

    def test_one_that_cannot_log_in_says_so_without_the_password(self, postgres18: PostgresServer) -> None:
        answer = browser_of("admin").post(f"{PAGE}check-new/", of(postgres18, "postgres", password=CANARY))
        page = answer.content.decode()
        assert "bks-note-bad" in page
        assert CANARY not in page

    def test_an_edited_one_is_tried_with_its_stored_password_and_stays_as_it_was(
        self, postgres18: PostgresServer, fresh_database: Callable[[PostgresServer], str]
    ) -> None:
        sent = of(postgres18, fresh_database(postgres18))
        values = {name: sent[name] for name in ("host", "port", "username", "password", "engine")}
        kept = save_database(
            database=Database(), values={**values, "id": "shop", "name": "Shop", "database_name": "gone"}, create=True
        )
        answer = browser_of("admin").post(f"{PAGE}shop/check-edited/", {**sent, "password": ""})
        assert "Reachable" in answer.content.decode()
        now = Database.objects.get()
        assert (now.database_name, unseal(now.secrets)) == ("gone", unseal(kept.secrets))

    @pytest.mark.parametrize(
        ("wrong", "told"), [({"host": ""}, "Host: PostgreSQL needs this."), ({"port": "99999"}, "Port: ")]
    )
    def test_what_cannot_be_tried_names_its_fields(self, wrong: dict[str, str], told: str) -> None:
        sent = {"engine": "postgres", "host": "db", "username": "a", "database_name": "b"}
        sent |= {"options.format": "custom", "options.sslmode": "prefer", "options.counts": "exact"}
        page = browser_of("admin").post(f"{PAGE}check-new/", {**sent, **wrong}).content.decode()
        assert "This cannot be tried yet." in page
        assert told in page

    def test_an_engine_that_does_not_exist_is_a_bad_request(self) -> None:
        assert browser_of("admin").post(f"{PAGE}check-new/", {"engine": "x"}).status_code == 400

    @pytest.mark.parametrize("role", ["viewer", "operator"])
    def test_only_admins_try_what_they_typed(self, role: str) -> None:
        assert browser_of(role).post(f"{PAGE}check-new/", {"engine": "postgres"}).status_code == 403
