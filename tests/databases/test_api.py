"""Databases over HTTP."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backups.models import Backup
from backups.pipeline.keys import generate_identity
from databases.models import Database, Policy
from jobs.fields import unseal
from tests.api import api, make_backup, make_database, make_destination

pytestmark = pytest.mark.django_db
NEW = {"name": "Shop", "engine": "postgres", "host": "db.example", "database_name": "shop", "username": "shop"}
CANARY = "s3cr3t-canary"
PEM = "-----BEGIN {0}-----\n{1}\n-----END {0}-----"


def test_a_database_is_registered_without_being_reachable() -> None:
    answer = api().post("/api/databases", {**NEW, "id": "shop", "password": CANARY}, format="json")
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/api/databases/shop"
    assert answer.json()["has_password"] is True
    assert CANARY not in answer.content.decode()
    assert unseal(Database.objects.get(pk="shop").secrets)["password"] == CANARY


def test_it_makes_an_id_when_none_is_given() -> None:
    made = api().post("/api/databases", NEW, format="json").json()["id"]
    assert made.startswith("db_")
    assert len(made) == 15


def test_the_address_works_at_the_root_and_with_a_trailing_slash() -> None:
    make_database()
    client = api("viewer")
    for address in (
        "/api/databases",
        "/api/databases/",
        "/databases",
        "/databases/",
        "/api/databases/shop/",
        "/databases/shop",
    ):
        assert client.get(address).status_code == 200, address


def test_an_id_that_exists_is_a_conflict() -> None:
    make_database()
    answer = api().post("/api/databases", {**NEW, "id": "shop"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "id_taken")


@pytest.mark.parametrize("word", ["doc", "create", "Shop", "a" * 64, "-a", ""])
def test_an_id_that_cannot_be_one_is_refused(word: str) -> None:
    answer = api().post("/api/databases", {**NEW, "id": word}, format="json")
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["errors"]] == ["id"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("engine", "oracle"),
        ("port", 0),
        ("port", 65536),
        ("port", 10**30),
        ("schedule", "61 * * * *"),
        ("schedule", {"cron": 1}),
        ("schedule", []),
        ("timezone", "Mars/Base"),
        ("retention_days", -1),
        ("retention_days", 10**30),
        ("compression", "lzma"),
        ("encryption", "rot13"),
        ("encryption_recipients", "age1"),
        ("options", []),
        ("destinations", ["nowhere"]),
        ("retention_day", 3),
    ],
)
def test_every_fault_names_its_field(field: str, value: object) -> None:
    answer = api().post("/api/databases", {**NEW, field: value}, format="json")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert {fault["field"].split(".")[0] for fault in answer.json()["errors"]} == {field}
    assert not Database.objects.exists()


def test_options_of_another_engine_are_refused() -> None:
    answer = api().post("/api/databases", {**NEW, "options": {"oplog": True}}, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith("options")


def test_secret_options_are_kept_and_never_shown() -> None:
    client = api()
    certificate, secret = PEM.format("CERTIFICATE", "c"), PEM.format("PRIVATE KEY", CANARY)
    options = {"format": "plain", "sslcert": certificate, "sslkey": secret}
    client.post("/api/databases", {**NEW, "id": "shop", "options": options}, format="json")
    answer = client.patch(
        "/api/databases/shop", {"options": {"format": "custom", "sslcert": certificate}}, format="json"
    )
    assert answer.json()["options"] == {"format": "custom", "sslcert": certificate}
    assert answer.json()["secret_options"] == ["sslkey"]
    assert CANARY not in answer.content.decode()
    assert unseal(Database.objects.get(pk="shop").secrets)["options"]["sslkey"] == secret


def test_a_change_leaves_the_rest_as_it_is_and_an_empty_password_removes_it() -> None:
    client = api()
    client.post("/api/databases", {**NEW, "id": "shop", "password": CANARY, "retention_days": 7}, format="json")
    assert client.patch("/api/databases/shop", {"name": "Store"}, format="json").json()["has_password"] is True
    changed = client.patch("/api/databases/shop", {"password": ""}, format="json").json()
    assert (changed["name"], changed["has_password"], changed["retention_days"]) == ("Store", False, 7)


def test_what_was_read_can_be_sent_back() -> None:
    client = api()
    read = client.post("/api/databases", {**NEW, "id": "shop"}, format="json").json()
    assert client.patch("/api/databases/shop", {**read, "name": "Store"}, format="json").json()["name"] == "Store"


@pytest.mark.parametrize("change", [{"engine": "mongodb"}, {"id": "other"}])
def test_engine_and_id_cannot_change(change: dict[str, str]) -> None:
    make_database()
    answer = api().patch("/api/databases/shop", change, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] in change


def test_next_runs_follow_the_schedule_in_utc_and_stop_when_disabled() -> None:
    make_database(schedule="30 3 * * *", timezone="Asia/Kolkata")
    client = api()
    shown = client.get("/api/databases/shop").json()
    assert len(shown["next_runs"]) == 5
    assert shown["next_run_at"] == shown["next_runs"][0]
    assert shown["next_run_at"].endswith("T22:00:00Z")
    assert client.patch("/api/databases/shop", {"enabled": False}, format="json").json()["next_run_at"] is None


def test_it_shows_the_last_backup_and_what_applies() -> None:
    make_destination()
    database = make_database(retention_days=None, keep_daily=3)
    make_backup(database)
    failed = make_backup(database, status="failed")
    shown = api("viewer").get("/api/databases/shop").json()
    assert (shown["last_backup"]["id"], shown["last_backup"]["status"]) == (failed.pk, "failed")
    assert shown["last_completed_at"] is not None
    assert shown["destinations"] == []
    assert shown["effective"]["destinations"] == ["local"]
    assert (shown["retention_days"], shown["effective"]["retention_days"], shown["effective"]["keep_daily"]) == (
        None,
        0,
        3,
    )


def test_named_destinations_are_shown_in_order_and_can_be_taken_back() -> None:
    make_destination(is_default=False)
    client = api()
    client.post("/api/databases", {**NEW, "id": "shop", "destinations": ["local"]}, format="json")
    assert client.get("/api/databases/shop").json()["destinations"] == ["local"]
    assert client.patch("/api/databases/shop", {"destinations": []}, format="json").json()["destinations"] == []


def test_a_wrong_destination_leaves_no_database_behind() -> None:
    answer = api().post("/api/databases", {**NEW, "destinations": ["nowhere"]}, format="json")
    assert answer.status_code == 400
    assert not Database.objects.exists()


def test_deleting_a_database_keeps_its_backups() -> None:
    backup = make_backup(make_database())
    client = api()
    assert client.delete("/api/databases/shop").status_code == 204
    assert client.get("/api/databases/shop").status_code == 404
    assert client.get(f"/api/backups/{backup.pk}").json()["database_id"] == "shop"
    assert Backup.objects.count() == 1


def test_the_list_is_filtered_searched_and_ordered() -> None:
    make_database("a", name="Alpha", package=True)
    make_database("b", name="Beta", enabled=False)
    client = api("viewer")

    def ids(query: str) -> list[str]:
        return [row["id"] for row in client.get(f"/api/databases?{query}").json()["results"]]

    assert ids("enabled=false") == ["b"]
    assert ids("package=true") == ["a"]
    assert ids("engine=mongodb") == []
    assert ids("search=alph") == ["a"]
    assert ids("ordering=-name") == ["b", "a"]


def test_the_list_asks_a_constant_number_of_questions() -> None:
    make_destination()
    client = api("viewer")

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert client.get("/api/databases").status_code == 200
        return len(asked)

    make_backup(make_database("a"))
    first = queries()
    for number in range(20):
        make_backup(make_database(f"b{number}"))
    assert queries() <= first


def test_a_check_that_fails_is_a_report() -> None:
    make_database(host="127.0.0.1", port=1)
    answer = api("operator").post("/api/databases/shop/check")
    assert answer.status_code == 200
    report = answer.json()
    assert report["ok"] is False
    assert report["error"]


def test_the_inventory_of_an_unreachable_server_is_503() -> None:
    make_database(host="127.0.0.1", port=1)
    answer = api("viewer").get("/api/databases/shop/inventory")
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_secret_key_given_as_a_recipient_is_neither_kept_nor_repeated() -> None:
    make_database()
    identity, recipient = generate_identity()
    for wrong in (identity, "nonsense"):
        answer = api().patch("/api/databases/shop", {"encryption_recipients": [recipient, wrong]}, format="json")
        assert (answer.status_code, [fault["field"] for fault in answer.json()["errors"]]) == (
            400,
            ["encryption_recipients"],
        )
        assert wrong not in answer.content.decode()
    assert Database.objects.get(pk="shop").encryption_recipients is None
    assert api().patch("/api/databases/shop", {"encryption_recipients": [recipient]}, format="json").status_code == 200


@pytest.mark.parametrize(
    ("compression", "level", "status"),
    [
        ("gzip", -7, 400),
        ("gzip", 0, 400),
        ("gzip", 1, 200),
        ("gzip", 9, 200),
        ("gzip", 10, 400),
        ("zstd", -7, 400),
        ("zstd", 0, 400),
        ("zstd", 1, 200),
        ("zstd", 19, 200),
        ("zstd", 20, 400),
    ],
)
def test_a_level_that_every_backup_would_fail_with_is_refused(compression: str, level: int, status: int) -> None:
    make_database()
    body = {"compression": compression, "compression_level": level}
    assert api().patch("/api/databases/shop", body, format="json").status_code == status


@pytest.mark.django_db
def test_an_inherited_schedule_shows_what_applies() -> None:
    make_database(schedule="inherit", timezone="Europe/Berlin")
    assert api().get("/api/databases/shop").json()["next_runs"] == []
    Policy.objects.create(schedule="30 3 * * *", retention_days=30)
    body = api().get("/api/databases/shop").json()
    assert body["schedule_sentence"] == "At 03:30 every day"
    assert len(body["next_runs"]) == 5
    assert body["effective"]["retention_days"] == 30
    Policy.objects.update(paused=True)
    assert api().get("/api/databases/shop").json()["next_run_at"] is None


@pytest.mark.django_db
def test_a_schedule_can_be_asked_what_it_means_before_it_is_saved() -> None:
    answer = api("viewer").post("/api/schedules/preview", {"schedule": ["@daily", "0 12 * * 1"]}, format="json")
    assert answer.status_code == 200
    assert answer.json()["sentence"] == "At 00:00 every day; At 12:00 on Monday"
    assert len(answer.json()["next_runs"]) == 5
    wrong = api("viewer").post("/api/schedules/preview", {"schedule": "x", "timezone": "Mars"}, format="json")
    assert wrong.status_code == 400
    assert {error["field"] for error in wrong.json()["errors"]} == {"schedule", "timezone"}
