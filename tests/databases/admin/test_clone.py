"""A clone has everything of its original but its name, its id and its backups, and nothing of it runs by itself."""

from typing import Any

import pytest

from backups.models import DatabaseDestination, DrillPlan
from backups.services.place import place_database
from databases.models import Database, MaskingRule
from databases.services.save import save_database
from jobs.fields import unseal
from tests.api import api, browser_of, make_backup, make_destination

CANARY = "c4nary-7"
PAGE = "/admin/databases/database/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Database:
    values: dict[str, Any] = {"id": "shop", "name": "Shop", "engine": "postgres", "host": "db", "username": "backup"}
    values |= {"database_name": "shop", "password": CANARY, "schedule": "30 3 * * *", "retention_days": 9}
    values |= {"options": {"schemas": ["app"]}, "package": True, "timezone": "Europe/Berlin"}
    made = save_database(database=Database(), values=values, create=True)
    make_destination(pk="near")
    make_destination(pk="far", name="Far", is_default=False)
    place_database(database=made, destination_ids=["far", "near"], retention_days={"near": 7})
    MaskingRule.objects.create(database=made, item="public.a", column="b", method="null")
    DrillPlan.objects.create(database=made, schedule="0 5 * * 0", within_days=40)
    make_backup(made)
    return made


def check(clone: Database, shop: Database) -> None:
    same = ["engine", "host", "username", "database_name", "options", "schedule", "retention_days", "package"]
    same = [*same, "timezone", "secret_names", "compression", "encryption", "hooks", "catch_up"]
    assert [getattr(clone, name) for name in same] == [getattr(shop, name) for name in same]
    assert unseal(clone.secrets) == {"password": CANARY, "options": {}}
    assert not clone.enabled
    assert clone.scheduled_since > shop.scheduled_since
    rows = DatabaseDestination.objects.filter(database=clone).values_list("destination", "retention_days")
    assert list(rows) == [("far", None), ("near", 7)]
    assert list(clone.masking_rules.values_list("item", "column", "method")) == [("public.a", "b", "null")]
    plan = DrillPlan.objects.get(pk=clone.pk)
    assert (plan.schedule, plan.within_days) == ("0 5 * * 0", 40)
    assert not clone.backups.exists()


class TestAdmin:
    def test_it_is_made_and_then_looked_through(self, shop: Database) -> None:
        browser = browser_of("admin")
        page = browser.get(f"{PAGE}shop/clone/").content.decode()
        assert 'value="Shop (clone)"' in page
        assert "It begins paused" in page
        answer = browser.post(f"{PAGE}shop/clone/", {"name": "Shop 2", "id": "shop-2"})
        assert answer["Location"] == f"{PAGE}shop-2/edit/"
        check(Database.objects.get(pk="shop-2"), shop)
        assert CANARY not in browser.get(answer["Location"]).content.decode()

    def test_an_id_that_exists_or_cannot_be_one_is_refused_at_its_field(self, shop: Database) -> None:
        for wrong in ("shop", "Shop 2"):
            answer = browser_of("admin").post(f"{PAGE}shop/clone/", {"name": "Shop", "id": wrong})
            assert "id" in answer.context["form"].errors
            assert "Nothing was cloned." in answer.content.decode()
        assert Database.objects.count() == 1

    @pytest.mark.parametrize("role", ["viewer", "operator"])
    def test_only_admins_clone(self, shop: Database, role: str) -> None:
        assert browser_of(role).post(f"{PAGE}shop/clone/", {"name": "x"}).status_code == 403
        assert api(role).post("/api/databases/shop/clone", {}).status_code == 403

    def test_a_get_makes_none(self, shop: Database) -> None:
        browser_of("admin").get(f"{PAGE}shop/clone/", {"name": "x"})
        assert Database.objects.count() == 1

    def test_the_site_itself_is_not_cloned(self, shop: Database) -> None:
        Database.objects.update(built_in=True)
        assert "Clone…" not in browser_of("admin").get(f"{PAGE}shop/change/").content.decode()
        answer = browser_of("admin").post(f"{PAGE}shop/clone/", {"name": "x"})
        assert "there is one of it" in answer.content.decode()


class TestApi:
    def test_it_answers_with_the_clone_and_no_secret(self, shop: Database) -> None:
        answer = api().post("/api/databases/shop/clone", {"id": "shop-2", "name": "Shop 2"}, format="json")
        assert answer.status_code == 201, answer.data
        assert answer["Location"] == "/api/databases/shop-2"
        assert (answer.data["name"], answer.data["enabled"], answer.data["has_password"]) == ("Shop 2", False, True)
        assert CANARY not in answer.content.decode()
        check(Database.objects.get(pk="shop-2"), shop)

    def test_without_a_body_name_and_id_are_made(self, shop: Database) -> None:
        answer = api().post("/api/databases/shop/clone", {}, format="json")
        assert answer.data["name"] == "Shop"
        assert answer.data["id"].startswith("db_")

    @pytest.mark.parametrize(
        ("body", "status"), [({"id": "shop"}, 409), ({"id": "No id"}, 400), ({"enabled": True}, 400)]
    )
    def test_what_cannot_be_is_refused(self, shop: Database, body: dict[str, Any], status: int) -> None:
        assert api().post("/api/databases/shop/clone", body, format="json").status_code == status
        assert Database.objects.count() == 1
