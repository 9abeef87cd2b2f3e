"""apply_config: all faults at once, one transaction, twice is a no-op."""

import json
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from backups.models import Destination
from backupsite.config.apply import Change, apply_document
from backupsite.config.export import export_config
from backupsite.config.reading import ConfigRefused, read_file, read_text
from backupsite.config.shape import schema
from databases.models import Database, Policy
from databases.services.save import save_database
from databases.services.save_policy import save_policy
from jobs.fields import unseal
from jobs.selectors import max_parallel_jobs
from packages.models import PackagePolicy
from tests.api import make_backup, make_database

REPOSITORY = Path(__file__).resolve().parents[3]
ENVIRON = {
    "S3_ACCESS_KEY": "AKIA1",
    "S3_SECRET_KEY": "secret-of-storage",
    "IMAGES_ACCESS_KEY": "AKIA2",
    "IMAGES_SECRET_KEY": "secret-of-images",
    "ORDERS_TOKEN": "secret-of-orders",
    "CATALOGUE_URI": "mongodb://backup:secret-of-catalogue@mongo.internal/?authSource=admin",
}

pytestmark = pytest.mark.django_db

SHOP = """
databases:
  - id: shop
    engine: postgres
    host: db
    username: backup
    password: hush-hush
    database_name: shop
"""


def apply(text: str, environ: Mapping[str, str] | None = None, **how: bool) -> list[Change]:
    return apply_document(document=read_text(text, environ=environ or {}), **how)


def refused(text: str) -> list[tuple[int, str]]:
    with pytest.raises(ConfigRefused) as raised:
        apply(text)
    return [(fault.line, ".".join(map(str, fault.path))) for fault in raised.value.faults]


def example() -> str:
    return (REPOSITORY / "config.example.yaml").read_text().replace("file:/run/secrets/shop_password", "hush-hush")


def test_the_example_makes_a_whole_site_and_twice_is_a_no_op() -> None:
    changes = apply(example(), ENVIRON)
    assert {(change.action, change.kind, change.name) for change in changes} >= {
        ("create", "destination", "storage"),
        ("create", "database", "shop"),
        ("create", "database", "orders"),
    }
    shop = Database.objects.get(pk="shop")
    assert (shop.managed, shop.schedule, shop.timezone, shop.package) == (True, "inherit", "Europe/Berlin", True)
    assert unseal(shop.secrets)["password"] == "hush-hush"
    assert Policy.objects.get().keep_monthly == 12
    assert PackagePolicy.objects.get().max_packages == 12
    assert max_parallel_jobs() == 4
    assert Destination.objects.get().is_default
    assert apply(example(), ENVIRON) == []


def test_a_plan_says_what_would_be_done_and_does_nothing() -> None:
    assert [str(change) for change in apply(SHOP, plan=True)] == ["create database shop"]
    assert not Database.objects.exists()


def test_a_change_names_its_fields_and_never_a_value() -> None:
    apply(SHOP)
    [change] = apply(SHOP.replace("hush-hush", "other").replace("host: db", "host: db2"))
    assert set(change.fields) == {"host", "password"}
    assert unseal(Database.objects.get().secrets)["password"] == "other"


def test_what_the_file_no_longer_says_goes_back_to_its_default_but_a_secret_stays() -> None:
    apply(SHOP + "    retention_days: 7\n    queue: near\n")
    apply(SHOP.replace("    password: hush-hush\n", ""))
    shop = Database.objects.get()
    assert (shop.retention_days, shop.queue) == (None, "")
    assert unseal(shop.secrets)["password"] == "hush-hush"


def test_every_fault_is_told_at_once_with_its_line_and_nothing_is_changed() -> None:
    text = """
global:
  retention_days: -1
  schedule: every day
  nonsense: 1
storage:
  - id: a
    type: ftp
databases:
  - id: shop
    engine: postgres
    password: 12345
    port: 99999
  - engine: oracle
  - id: shop
    engine: postgres
"""
    assert refused(text) == [
        (3, "global.retention_days"),
        (5, "global.nonsense"),
        (8, "storage.0.type"),
        (12, "databases.0.password"),
        (13, "databases.0.port"),
        (14, "databases.1"),
        (14, "databases.1.engine"),
        (15, "databases.2.id"),
    ]
    assert not Database.objects.exists()


def test_faults_of_meaning_have_their_lines_too_and_take_back_what_was_right() -> None:
    text = """
global:
  schedule: every day
databases:
  - {id: good, engine: postgres, host: h, username: u, database_name: d}
  - id: bad
    engine: postgres
    host: h
    timezone: Mars
    options:
      sslmode: verify-full
    destinations: [nowhere]
"""
    found = refused(text)
    assert (3, "global.schedule") in found
    assert (9, "databases.1.timezone") in found
    assert not Database.objects.exists()
    assert not Policy.objects.exists()


def test_a_timezone_that_is_none_is_a_fault_also_where_no_database_uses_it() -> None:
    assert refused("global:\n  timezone: Mars/X\n") == [(2, "global.timezone")]


def test_no_fault_repeats_a_secret() -> None:
    with pytest.raises(ConfigRefused) as raised:
        apply(SHOP.replace("hush-hush", "[hush-hush]").replace("host: db", "host: {hush-hush: 1}"))
    assert "hush" not in str(raised.value)


def test_numbers_and_yes_or_no_may_come_out_of_variables() -> None:
    text = SHOP.replace("host: db", "host: db\n    port: ${PORT}\n    package: ${YES}")
    apply(text, {"PORT": "6543", "YES": "true"})
    shop = Database.objects.get()
    assert (shop.port, shop.package) == (6543, True)


def test_what_a_file_leaves_out_is_told_and_only_pruned_when_asked() -> None:
    apply(SHOP)
    make_database("by-hand")
    empty = "databases: []\n"
    assert [str(change) for change in apply(empty)] == ["left over database shop"]
    assert Database.objects.filter(pk="shop").exists()
    make_backup(Database.objects.get(pk="shop"))
    assert [str(change) for change in apply(empty, prune=True)] == ["delete database shop"]
    assert list(Database.objects.values_list("pk", flat=True)) == ["by-hand"]


def test_a_section_that_the_file_does_not_have_prunes_nothing() -> None:
    apply(SHOP + "storage: {type: local, path: /a}\n")
    assert {change.action for change in apply("", prune=True)} == {"left over"}
    assert Database.objects.exists()
    assert Destination.objects.exists()


def test_two_defaults_are_a_fault_and_so_is_none_where_backups_need_one() -> None:
    disk = "storage:\n  - {id: a, type: local, path: /a%s}\n  - {id: b, type: local, path: /b%s}\n"
    assert refused(disk % (", default: true", ", default: true")) == [(3, "storage.1.default")]
    assert refused(SHOP + disk % ("", "")) == [(9, "storage")]
    apply(SHOP + disk % ("", ", default: true"))
    assert apply(SHOP + disk % ("", ", default: true")) == []
    apply(SHOP + disk % (", default: true", ""))
    assert Destination.objects.get(is_default=True).pk == "a"


def test_a_database_that_was_made_by_hand_is_taken_over() -> None:
    make_database("shop", username="someone")
    assert apply(SHOP)[0].action == "change"
    assert Database.objects.get().managed


def test_an_engine_does_not_change() -> None:
    apply(SHOP)
    assert (4, "databases.0.engine") in refused(
        "databases:\n  - id: shop\n    name: x\n    engine: s3\n    options: {bucket: b}\n"
    )


def test_the_export_is_read_back_without_a_change() -> None:
    apply(example(), ENVIRON)
    Database.objects.filter(pk="shop").update(name="A ${shop} for $5")
    text = export_config()
    assert "secret-of" not in text and "hush" not in text
    environ = {
        "SHOP_PASSWORD": "hush-hush",
        "STORAGE_SECRET_KEY": ENVIRON["S3_SECRET_KEY"],
        "CATALOGUE_URI": ENVIRON["CATALOGUE_URI"],
        "IMAGES_SECRET_KEY": ENVIRON["IMAGES_SECRET_KEY"],
        "ORDERS_TOKEN": ENVIRON["ORDERS_TOKEN"],
    }
    assert apply(text, environ) == []


def test_an_export_keeps_what_is_not_the_sites_default_and_gives_each_secret_a_variable_of_its_own() -> None:
    save_policy(values={"compression": "gzip"})
    for pk, password in (("a-b", "one"), ("a_b", "two")):
        save_database(database=make_database(pk, compression="zstd"), values={"password": password}, create=False)
    again = apply(export_config(), {"A_B_PASSWORD": "one", "A_B_PASSWORD_2": "two"})
    assert {change.fields for change in again} <= {(), ("managed",)}
    assert [unseal(row.secrets)["password"] for row in Database.objects.order_by("pk")] == ["one", "two"]
    assert not Database.objects.exclude(compression="zstd").exists()


def test_the_published_schema_is_the_one_that_is_checked() -> None:
    assert json.loads((REPOSITORY / "docs" / "config.schema.json").read_text()) == schema()


def test_the_command_lists_faults_on_stderr_and_ends_with_1(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("databases:\n  - id: Shop\n    engine: postgres\n    nonsense: 1\n")
    errors = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("apply_config", str(file), stderr=errors)
    assert ended.value.code == 1
    assert "line 4: databases.0.nonsense: This is not known here." in errors.getvalue()


def test_the_command_says_that_there_is_nothing_to_do(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(SHOP)
    out: Any = StringIO()
    for _ in range(2):
        call_command("apply_config", str(file), stdout=out)
    assert out.getvalue().splitlines() == ["create database shop", "The site is as the file says."]


def test_a_file_with_a_byte_order_mark_or_latin_letters_is_read(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes("\ufeffdatabases: []\n".encode())
    assert read_file(file).values == {"databases": []}


def test_destinations_are_named_in_order_by_id_or_with_the_days_that_copies_stay_there(tmp_path: Path) -> None:
    apply(
        f"""
storage:
  - {{id: near, type: local, path: {tmp_path}/near, default: true}}
  - {{id: far, type: local, path: {tmp_path}/far, off_site: true}}
databases:
  - id: shop
    engine: postgres
    host: h
    username: u
    database_name: d
    destinations: [{{id: near, retention_days: 7}}, far]
""",
    )
    shop = Database.objects.get(pk="shop")
    assert list(shop.placements.values_list("destination", "retention_days")) == [("near", 7), ("far", None)]
    assert Destination.objects.get(pk="far").off_site
    exported = export_config()
    assert "retention_days: 7" in exported
    assert "off_site: true" in exported
