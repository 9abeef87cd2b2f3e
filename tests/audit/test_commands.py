"""What operators do on the host is in the audit as well."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from audit.models import Entry
from backupsite.management.audited import run, without_secrets
from backupsite.management.prepare import configure
from tests.api import make_database

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command closes its connections at the end; here they are the test's own, with its database in memory."""
    monkeypatch.setattr(connections, "close_all", lambda: None)


def test_a_command_says_who_ran_it_and_what_changed() -> None:
    make_database()
    User.objects.create_user("ada")
    with pytest.raises(SystemExit):
        run(["manage.py", "reset_second_factor", "nobody"])
    run(["manage.py", "reset_second_factor", "ada"])
    failed, done = Entry.objects.order_by("id")
    assert (failed.action, failed.outcome) == ("command.reset_second_factor", "failed")
    assert (done.via, done.outcome, done.detail) == ("command", "done", "reset_second_factor ada")
    assert done.who


def test_commands_that_only_look_are_not_there() -> None:
    run(["manage.py", "check", "--tag", "urls"])
    assert not Entry.objects.exists()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["restore", "--confirm", "shop"], "restore --confirm shop"),
        (["x", "--password", "hidden", "shop"], "x --password … shop"),
        (["x", "--api-token=hidden"], "x --api-token=…"),
        (["x", "postgresql://ada:hidden@host/shop"], "x postgresql://…@host/shop"),
    ],
)
def test_a_secret_that_was_typed_is_not_repeated(typed: list[str], kept: str) -> None:
    assert without_secrets(typed) == kept


def test_what_a_file_of_configuration_changed_at_the_start_is_there_once(tmp_path: Any) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"storage:\n  type: local\n  path: {tmp_path}/disk\n")
    configure(config)
    configure(config)
    found = Entry.objects.get()
    assert (found.action, found.via, found.through) == ("config.apply", "site", "config.yaml")
    assert {(change["type"], change["change"]) for change in found.changes} >= {("destination", "created")}
