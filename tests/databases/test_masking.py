"""Masking rules are saved whole or not at all, over every road."""

from typing import Any

import pytest

from backupsite.config.apply import apply_document
from backupsite.config.export import export_config
from backupsite.config.reading import ConfigRefused, read_text
from databases.models import Database, MaskingRule
from databases.selectors import masking_of
from notifications.models import Event
from tests.api import api, make_database

pytestmark = pytest.mark.django_db
MAIL = {"item": "public.people", "column": "mail", "method": "fake", "value": "email"}
NAME = {"item": "public.people", "column": "name", "method": "null", "value": ""}
URL = "/api/databases/shop/masking"


@pytest.fixture
def shop() -> Database:
    return make_database()


def put(*rules: Any, role: str = "admin") -> Any:
    return api(role).put(URL, {"rules": list(rules)}, format="json")


def test_rules_are_replaced_as_a_whole(shop: Database) -> None:
    assert put(MAIL, {"item": "public.people", "column": "name", "method": "null"}).json() == {"rules": [MAIL, NAME]}
    assert put(NAME).json() == {"rules": [NAME]}
    assert api("viewer").get(URL).json() == {"rules": [NAME]}
    assert [event.kind for event in Event.objects.all()] == ["security.masking_changed"] * 2
    assert "No longer masked: public.people.mail" in Event.objects.latest("id").message


def test_the_same_rules_change_nothing(shop: Database) -> None:
    put(MAIL, NAME)
    put(NAME, MAIL)
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ([{**MAIL, "value": "iban"}], "masking.0"),
        ([MAIL, {**MAIL, "method": "null", "value": ""}], "masking.1"),
        ([{**MAIL, "item": "people"}], "masking.0"),
        ([{**MAIL, "method": "shred"}], "rules.0.method"),
        ([{**MAIL, "colum": "x"}], "rules.0.colum"),
    ],
)
def test_faults_are_told_and_nothing_is_saved(rules: list[Any], field: str, shop: Database) -> None:
    put(NAME)
    answer = put(*rules)
    assert answer.status_code == 400
    assert field in [fault["field"] for fault in answer.json()["errors"]], answer.json()
    assert masking_of(shop) == [NAME]


@pytest.mark.parametrize("engine", ["s3", "http"])
def test_an_engine_that_masks_nothing_takes_no_rules(engine: str, shop: Database) -> None:
    Database.objects.update(engine=engine)
    answer = put(MAIL)
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported")
    assert put().status_code == 200


def test_an_operator_reads_rules_and_changes_none(shop: Database) -> None:
    assert put(MAIL, role="operator").status_code == 403
    assert not MaskingRule.objects.exists()


FILE = """
databases:
  - id: shop
    engine: postgres
    host: db
    username: shop
    database_name: shop
    masking:
      - {item: public.people, column: mail, method: fake, value: email}
      - {item: public.people, column: name, method: "null"}
"""


def test_a_file_brings_rules_and_takes_them_away() -> None:
    changes = apply_document(document=read_text(FILE))
    assert [change.action for change in changes] == ["create"]
    assert masking_of(Database.objects.get()) == [MAIL, NAME]
    assert apply_document(document=read_text(FILE)) == []
    apply_document(document=read_text(export_config()))
    assert masking_of(Database.objects.get()) == [MAIL, NAME]
    without = FILE.split("    masking:", maxsplit=1)[0]
    assert [change.fields for change in apply_document(document=read_text(without))] == [("masking",)]
    assert masking_of(Database.objects.get()) == []


def test_a_fault_in_the_file_is_told_with_its_line() -> None:
    with pytest.raises(ConfigRefused) as raised:
        apply_document(document=read_text(FILE.replace("value: email", "value: iban")))
    assert "made up" in str(raised.value) and not Database.objects.exists()
