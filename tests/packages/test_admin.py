"""Packages in the admin: lists, pages, forms, and who may."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backups.models import Destination
from databases.models import Database
from jobs.models import Status
from packages.models import Package, PackageMember, PackagePolicy
from tests.api import browser_of
from tests.packages.conftest import Store, pack

LIST, POLICY = "/admin/packages/package/", "/admin/packages/packagepolicy/1/change/"
LogIn = Callable[[str], Client]


@pytest.fixture
def log_in(db: None) -> LogIn:
    return browser_of


@pytest.fixture
def package(store: Store) -> Package:
    """A completed one, without the Database that has no backup."""
    store("shop", b"shop")
    Database.objects.create(pk="till", name="Till", engine="postgres", package=True)
    return pack()


def page_of(package: Package, action: str = "change") -> str:
    return f"{LIST}{package.pk}/{action}/"


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_every_page_opens(log_in: LogIn, package: Package, role: str) -> None:
    browser = log_in(role)
    pages = [LIST, page_of(package), POLICY, "/admin/"]
    pages += [f"{LIST}?q=shop", page_of(Package.objects.create(status=Status.FAILED, error_message="No."))]
    assert {url: browser.get(url).status_code for url in pages} == dict.fromkeys(pages, 200)
    assert browser.get("/admin/packages/packagepolicy/").headers["Location"] == POLICY
    assert LIST in browser.get("/admin/").content.decode()


def test_the_page_says_what_is_in_it_and_what_is_missing(log_in: LogIn, package: Package) -> None:
    page = log_in("operator").get(page_of(package)).content.decode()
    assert package.members.get(missing="").backup_label in page
    assert "Till has no completed backup" in page
    assert f"/api/packages/{package.pk}/download" in page
    assert package.sha256 in page
    assert "read back and compared" in page


def test_an_operator_makes_one(log_in: LogIn, store: Store) -> None:
    store("shop", b"shop")
    browser = log_in("operator")
    assert "now 1" in browser.get(f"{LIST}add/").content.decode()
    answer = browser.post(f"{LIST}add/", {"databases": "shop\n", "compression": "tar.gz", "on_missing": "fail"})
    made = Package.objects.get()
    assert answer.headers["Location"] == page_of(made)
    assert (made.databases, made.compression, made.on_missing) == (["shop"], "tar.gz", "fail")
    assert made.requested_by == User.objects.get(username="operator")


@pytest.mark.parametrize(
    ("databases", "said"), [("nowhere", "No Database has the id"), ("", "No Database is to be packaged")]
)
def test_what_cannot_be_made_is_said(log_in: LogIn, disk: Destination, databases: str, said: str) -> None:
    body = {"databases": databases, "compression": "zip", "on_missing": "skip"}
    page = log_in("operator").post(f"{LIST}add/", body).content.decode()
    assert "Nothing was started" in page
    assert said in page
    assert not Package.objects.exists()


def test_an_admin_deletes_one_after_a_question(log_in: LogIn, package: Package) -> None:
    browser = log_in("admin")
    assert "The backups in it stay" in browser.get(page_of(package, "delete")).content.decode()
    assert Package.objects.exists()
    assert browser.post(page_of(package, "delete")).headers["Location"] == LIST
    assert not Package.objects.exists()


def test_an_admin_changes_the_policy(log_in: LogIn, disk: Destination) -> None:
    browser = log_in("admin")
    body = {
        "times": "0 4 * * 0\n30 1 1 * *",
        "timezone": "Europe/Berlin",
        "retention_days": "30",
        "max_packages": "0",
        "compression": "tar.gz",
        "on_missing": "fail",
        "destination": "disk",
    }
    edit = POLICY.replace("change", "edit")
    assert browser.get(edit).status_code == 200
    assert "61" in browser.post(edit, {**body, "times": "61 * * * *"}).content.decode()
    assert not PackagePolicy.objects.exists()
    assert browser.post(edit, body).headers["Location"] == POLICY
    policy = PackagePolicy.objects.get()
    assert (policy.schedule, policy.destination_id) == (["0 4 * * 0", "30 1 1 * *"], "disk")
    page = browser.get(POLICY).content.decode()
    assert "At 04:00 on Sunday" in page
    assert browser.post(edit, {**body, "times": "", "destination": ""}).status_code == 302
    policy.refresh_from_db()
    assert (policy.schedule, policy.destination_id) == (None, None)


def test_who_may_what(log_in: LogIn, package: Package) -> None:
    waiting = Package.objects.create()
    operator = [f"{LIST}add/", page_of(waiting, "cancel")]
    admin = [page_of(package, "delete"), POLICY.replace("change", "edit")]
    viewer, runner = log_in("viewer"), log_in("operator")
    assert {url: viewer.post(url, {}).status_code for url in operator + admin} == dict.fromkeys(operator + admin, 403)
    assert {url: runner.post(url, {}).status_code for url in admin} == dict.fromkeys(admin, 403)
    waiting.refresh_from_db()
    assert waiting.status == Status.PENDING
    runner.post(page_of(waiting, "cancel"))
    waiting.refresh_from_db()
    assert waiting.status == Status.CANCELLED


def test_more_rows_ask_no_more_questions(log_in: LogIn, package: Package) -> None:
    browser = log_in("admin")

    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert browser.get(LIST).status_code == 200
        return len(asked)

    few = questions()
    for _ in range(20):
        row = Package.objects.create(status=Status.COMPLETED, size=7)
        PackageMember.objects.create(package=row, position=0, database_id="till", database_name="Till")
    assert questions() == few


def test_the_form_of_a_database_puts_it_into_packages(log_in: LogIn, store: Store) -> None:
    store("shop", b"shop")
    edit = "/admin/databases/database/shop/edit/"
    page = log_in("admin").get(edit).content.decode()
    assert 'name="package"' in page
