"""`manage.py package` and `manage.py packages`."""

import json
from collections.abc import Callable

import pytest
from django.core.management import call_command

from backups.models import Destination
from databases.models import Database
from packages.models import Package
from tests.packages.conftest import Store, pack

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """(exit code, stdout, stderr) of a command."""

    def call(*argv: str) -> tuple[int, str, str]:
        try:
            call_command(*argv)
            status = 0
        except SystemExit as end:
            status = int(str(end.code))
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_a_package_here_completes_and_prints_its_id(store: Store, run: Run) -> None:
    store("shop", b"shop")
    Database.objects.create(pk="till", name="Till", engine="postgres", package=True)
    status, out, err = run("package", "--here", "--compression", "tar.gz")
    package = Package.objects.get()
    assert (status, out) == (0, f"{package.pk}\n")
    assert (package.status, package.compression) == ("completed", "tar.gz")
    assert "missing: Till" in err


def test_json_is_one_document(store: Store, run: Run) -> None:
    store("shop", b"shop"), store("till", b"till")
    status, out, _ = run("package", "--databases", "shop", "--here", "--json")
    body = json.loads(out)
    assert (status, body["status"], body["databases"], body["missing"]) == (0, "completed", ["shop"], [])
    assert [member["database_id"] for member in body["members"]] == ["shop"]


def test_a_missing_member_fails_where_that_is_asked_for(store: Store, run: Run) -> None:
    store("shop", b"shop")
    Database.objects.create(pk="till", name="Till", engine="postgres", package=True)
    status, _, err = run("package", "--here", "--on-missing", "fail")
    assert status == 1
    assert "error: Till cannot be packaged" in err
    assert "hint: " in err


def test_an_unknown_database_is_a_fault_of_usage(disk: Destination, run: Run) -> None:
    status, out, err = run("package", "--databases", "nowhere")
    assert (status, out) == (2, "")
    assert "nowhere" in err


def test_they_are_listed(store: Store, run: Run) -> None:
    assert run("packages") == (0, "No packages.\n", "")
    store("shop", b"shop")
    package = pack()
    assert package.pk in run("packages")[1]
    assert package.pk not in run("packages", "--status", "failed")[1]
    assert [row["id"] for row in json.loads(run("packages", "--json")[1])] == [package.pk]
