"""Copies over HTTP and in the admin: made, watched, locked, deleted, and seen against 3-2-1."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from backups.destinations import open_storage
from backups.models import Backup, Copy, CopyJob, Destination
from backups.protection import protections
from backups.services.place import place_database
from backupsite.metrics import COLLECTORS
from databases.models import Database
from jobs.models import Status
from tests.api import api, make_backup, make_database, make_destination, user_with
from tests.backups.services_room import stored_records
from tests.room import finish, verify

pytestmark = pytest.mark.django_db(transaction=True)

PLAIN = b'{"id": 1}\n' * 500


@pytest.fixture
def places(tmp_path: Path) -> list[Destination]:
    found = [make_destination(tmp_path / name, pk=name, is_default=name == "near") for name in ("near", "far")]
    for place in found:
        open_storage(place).prepare()
    return found


@pytest.fixture
def backup(places: list[Destination]) -> Backup:
    return stored_records(make_database(), places[0], PLAIN)


@pytest.fixture
def copied(backup: Backup, places: list[Destination]) -> Backup:
    answer = api("operator").post(f"/api/backups/{backup.pk}/copies", {"destination": "far"}, format="json")
    assert answer.status_code == 202, answer.content
    assert finish(CopyJob.objects.get(pk=answer.json()["id"])).status == Status.COMPLETED
    return backup


def test_a_copy_is_asked_for_and_watched(backup: Backup, places: list[Destination]) -> None:
    path = f"/api/backups/{backup.pk}/copies"
    assert api("viewer").post(path, {"destination": "far"}, format="json").status_code == 403
    assert api("operator").post(path, {"destination": "nowhere"}, format="json").status_code == 400
    answer = api("operator").post(path, {"destination": "far"}, format="json")
    assert answer["Location"] == f"/api/copies/{answer.json()['id']}"
    assert api("operator").post(path, {"destination": "far"}, format="json").status_code == 409
    job = finish(CopyJob.objects.get())
    shown = api("viewer").get(f"/api/copies/{job.pk}").json()
    assert (shown["status"], shown["destination"], shown["source_destination"]) == ("completed", "far", "near")
    assert "copying" in api("viewer").get(f"/api/copies/{job.pk}/log").content.decode()
    assert api("operator").post(f"/api/copies/{job.pk}/cancel").status_code == 409
    assert api("viewer").get("/api/copies?destination=far&backup=" + backup.pk).json()["count"] == 1
    copies = api("viewer").get(f"/api/backups/{backup.pk}").json()["copies"]
    assert {(copy["destination"], copy["status"], copy["size"]) for copy in copies} == {
        ("near", "stored", backup.size),
        ("far", "stored", backup.size),
    }


def test_a_copy_is_locked_and_deleted_but_never_the_last_good_one(copied: Backup) -> None:
    near, far = (copied.copies.get(destination=name) for name in ("near", "far"))
    path = f"/api/backups/{copied.pk}/copies"
    changed = api("operator").patch(f"{path}/{far.pk}", {"locked": True}, format="json")
    assert (changed.status_code, changed.json()["locked"]) == (200, True)
    assert api("operator").delete(f"{path}/{far.pk}").status_code == 409
    api("operator").patch(f"{path}/{far.pk}", {"locked": False}, format="json")
    assert api("viewer").delete(f"{path}/{far.pk}").status_code == 403
    assert api("operator").delete(f"{path}/{far.pk}").status_code == 204
    refused = api("operator").delete(f"{path}/{near.pk}")
    assert (refused.status_code, "last good one" in refused.json()["detail"]) == (409, True)
    assert api("operator").delete(f"{path}/{far.pk}").status_code == 404
    other = make_backup(make_database("other"))
    assert api("operator").delete(f"/api/backups/{other.pk}/copies/{near.pk}").status_code == 404


def test_a_destination_that_does_not_answer_keeps_the_row_until_it_does(copied: Backup) -> None:
    """A row that went first would leave an object that nobody knows."""
    far = copied.copies.get(destination="far")
    marker = Path(far.destination.path) / ".backupsite-destination"
    content = marker.read_text()
    marker.unlink()
    answer = api("operator").delete(f"/api/backups/{copied.pk}/copies/{far.pk}")
    assert (answer.status_code, answer.json()["status"]) == (202, "deleting")
    marker.write_text(content)
    assert api("operator").delete(f"/api/backups/{copied.pk}/copies/{far.pk}").status_code == 204
    assert list(Path(far.destination.path).rglob("*.zst*")) == []


def test_it_is_read_at_the_destination_asked_for_and_elsewhere_when_the_nearest_is_lost(copied: Backup) -> None:
    path = f"/api/backups/{copied.pk}/download"
    near, far = (copied.copies.get(destination=name) for name in ("near", "far"))
    assert near.key.rpartition("/")[2] in api("operator").get(path)["Content-Disposition"]
    asked = api("operator").get(f"{path}?destination=far")
    assert far.key.rpartition("/")[2] in asked["Content-Disposition"]
    stored = asked.getvalue()
    assert api("operator").get(f"{path}?destination=nowhere").status_code == 400
    (Path(near.destination.path) / near.key).unlink()
    after = api("operator").get(path)
    assert after.getvalue() == stored
    link = api("operator").post(f"{path}-link", {"destination": "near"}, format="json").json()["url"]
    assert api("nobody").get(link).status_code in (404, 409, 410, 503)


def test_a_verification_reads_the_one_copy_it_is_asked_for(copied: Backup) -> None:
    far = copied.copies.get(destination="far")
    run = verify(copied, destination=far.destination)
    assert [copy["destination"] for copy in run.report["copies"]] == ["far"]


def test_destinations_are_named_by_ids_or_with_days(places: list[Destination]) -> None:
    make_database()
    path, client = "/api/databases/shop", api()
    named = [{"destination": "near", "retention_days": 7}, {"destination": "far"}]
    shown = client.patch(path, {"placements": named}, format="json").json()
    assert shown["destinations"] == ["near", "far"]
    assert shown["placements"] == [
        {"destination": "near", "retention_days": 7},
        {"destination": "far", "retention_days": None},
    ]
    assert client.patch(path, shown, format="json").status_code == 200, "what was read can be sent back"
    turned = client.patch(path, {"destinations": ["far", "near"]}, format="json").json()
    assert turned["placements"][1] == {"destination": "near", "retention_days": 7}
    differ = {"destinations": ["near"], "placements": [{"destination": "far"}]}
    assert client.patch(path, differ, format="json").status_code == 400
    assert client.patch(path, {"destinations": ["near", "near"]}, format="json").status_code == 400


def test_3_2_1_is_met_by_two_copies_on_two_media_one_of_them_off_site(
    copied: Backup, places: list[Destination]
) -> None:
    place_database(database=copied.database, destination_ids=["near", "far"])
    shown = api("viewer").get("/api/databases/shop/copies").json()
    assert (shown["meets_3_2_1"], shown["media"], len(shown["copies"])) == (False, ["disk"], 2)
    assert shown["missing"] == ["2 different media (there are 1)", "a copy off-site"]
    Destination.objects.filter(pk="far").update(kind="s3", endpoint_url="https://s3.example.com", off_site=True)
    shown = api("viewer").get("/api/databases/shop/copies").json()
    assert (shown["meets_3_2_1"], shown["media"]) == (True, ["S3 at s3.example.com", "disk"])
    copied.copies.filter(destination="far").update(state=Copy.State.QUARANTINED)
    assert not api("viewer").get("/api/databases/shop/copies").json()["meets_3_2_1"]


def test_the_list_of_all_databases_costs_a_constant_number_of_queries(
    places: list[Destination], django_assert_num_queries: Any
) -> None:
    for number in range(5):
        make_backup(make_database(f"db-{number}"), destination=places[0])
    with django_assert_num_queries(4):
        assert len(protections(Database.objects.all())) == 5


def browser(role: str) -> Client:
    client, user = Client(), user_with(role)
    user.is_staff = True
    user.save()
    client.force_login(user)
    return client


def test_the_admin_copies_locks_and_deletes(backup: Backup, places: list[Destination]) -> None:
    page = f"/admin/backups/backup/{backup.pk}"
    asked = browser("operator").post(f"{page}/copy/", {"destination": "far"})
    job = finish(CopyJob.objects.get())
    assert asked["Location"] == f"/admin/backups/copyjob/{job.pk}/change/"
    assert "Copy to far" in browser("viewer").get(asked["Location"]).content.decode()
    far = backup.copies.get(destination="far")
    assert "Delete this copy" in browser("operator").get(f"{page}/change/").content.decode()
    assert browser("viewer").post(f"{page}/delete-copy/", {"copy": far.pk}).status_code == 403
    assert browser("operator").get(f"{page}/delete-copy/").status_code == 405
    browser("operator").post(f"{page}/lock-copy/", {"copy": far.pk, "locked": "yes"})
    assert backup.copies.get(destination="far").locked
    browser("operator").post(f"{page}/lock-copy/", {"copy": far.pk, "locked": "no"})
    browser("operator").post(f"{page}/delete-copy/", {"copy": far.pk})
    assert list(backup.copies.values_list("destination", flat=True)) == ["near"]
    for number in ("", "x", "99999"):
        assert browser("operator").post(f"{page}/delete-copy/", {"copy": number}).status_code == 404


def test_the_admin_asks_which_copy_is_read_where_there_is_a_choice(copied: Backup) -> None:
    page, chosen = f"/admin/backups/backup/{copied.pk}", {"step": "target", "target": "shop"}
    assert "Copy at" in browser("operator").post(f"{page}/restore/", chosen).content.decode()
    browser("operator").post(f"{page}/verify/", {"destination": "far"})
    assert copied.verifications.get().destination_id == "far"
    copied.copies.filter(destination="far").delete()
    assert "Copy at" not in browser("operator").post(f"{page}/restore/", chosen).content.decode()


def test_the_admin_shows_each_database_against_3_2_1(copied: Backup) -> None:
    place_database(database=copied.database, destination_ids=["near", "far"], retention_days={"near": 7})
    listed = browser("viewer").get("/admin/backups/copyjob/3-2-1/").content.decode()
    assert "not met" in listed
    page = browser("viewer").get("/admin/databases/database/shop/change/").content.decode()
    assert "3-2-1 is not met" in page
    assert "copies stay 7 days" in page


def test_the_form_of_a_database_keeps_all_its_destinations(places: list[Destination]) -> None:
    database = make_database()
    place_database(database=database, destination_ids=["near", "far"], retention_days={"far": 30})
    client = browser("admin")
    form = client.get("/admin/databases/database/shop/edit/").context["form"]
    values = {bound.html_name: bound.value() for bound in form if bound.value() not in (None, False)}
    shown = values.pop("destination")
    assert [(row["destination"], row["retention_days"]) for row in shown] == [("near", None), ("far", 30)]
    rows = {"destination": ["near", "far"], "destination_days": ["7", "90"]}
    answer = client.post("/admin/databases/database/shop/edit/", {**values, **rows})
    assert answer.status_code == 302, answer.context["form"].errors
    assert list(database.placements.values_list("destination", "retention_days")) == [("near", 7), ("far", 90)]


def test_the_lag_of_copies_is_a_metric(backup: Backup, places: list[Destination]) -> None:
    place_database(database=backup.database, destination_ids=["near", "far"])
    backup.database.placements.filter(destination="far").update(lacking=3, lacking_since=timezone.now())
    families = {family.name: family for collector in COLLECTORS for family in collector().collect()}
    lacking = {sample.labels["destination"]: sample.value for sample in families["backupsite_copies_lacking"].samples}
    assert lacking == {"far": 3, "near": 0}
    assert "backupsite_copy_lag_seconds" in families
