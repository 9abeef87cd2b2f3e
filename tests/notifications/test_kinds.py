"""The catalogue of events holds every kind that is recorded anywhere, and every registered page exists."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.urls import reverse

from jobs.models import Status
from notifications import registry
from notifications.kinds import KINDS, unknown_patterns
from notifications.models import Event
from notifications.services.record import record_event

ROOMS = ("backupsite", "accounts", "audit", "exports", "packages", "backups", "databases", "notifications", "jobs")
HERE = Path(__file__).parents[2]


def recorded() -> Iterator[tuple[str, str]]:
    """(where, kind) of each call of record_event; of a composed kind what it begins with, and a star."""
    for room in ROOMS:
        for path in (HERE / room).rglob("*.py"):
            text = path.read_text()
            for node in ast.walk(ast.parse(text)) if "record_event(" in text else ():
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "record_event":
                    [kind] = [keyword.value for keyword in node.keywords if keyword.arg == "kind"]
                    yield from ((f"{path.relative_to(HERE)}:{node.lineno}", word) for word in words(kind))


def words(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return words(node.body) + words(node.orelse)
    if isinstance(node, ast.JoinedStr):
        first = node.values[0]
        return [f"{str(first.value) if isinstance(first, ast.Constant) else ''}*"]
    return [str(node.value)] if isinstance(node, ast.Constant) else []


def test_every_kind_that_is_recorded_is_in_the_catalogue() -> None:
    found = list(recorded())
    assert len(found) > 15
    assert [(where, kind) for where, kind in found if unknown_patterns([kind])] == []


def test_every_kind_of_the_catalogue_is_recorded_somewhere() -> None:
    """A rule for one that is not would be silent for ever."""
    composed = tuple(kind.removesuffix("*") for _, kind in recorded() if kind.endswith((".*", "_*")))
    composed += ("channel.", "ping.")  # of a target's own family
    paths = (path for room in ROOMS for path in (HERE / room).rglob("*.py") if path.name != "kinds.py")
    text = "".join(path.read_text() for path in paths)
    assert [name for name in KINDS if f'"{name}"' not in text and not name.startswith(composed)] == []


def test_how_a_job_ends_is_in_the_catalogue() -> None:
    ends = {Status.COMPLETED, Status.FAILED, Status.CANCELLED}
    for family, silent in (("backup", set()), ("package", set()), ("export", set()), ("drill", {Status.CANCELLED})):
        assert {status for status in ends if f"{family}.{status}" in KINDS} == ends - silent


def test_every_page_that_is_registered_exists() -> None:
    assert {"bkp_", "database", "chn_", "destination.", "export."} <= set(registry._pages)
    for view in registry._pages.values():
        assert reverse(view, args=["x"])


@pytest.mark.django_db
def test_an_event_has_the_severity_of_its_kind_unless_another_is_given() -> None:
    record_event(kind="backup.failed", subject_id="bkp_x", message="It failed.")
    assert Event.objects.get().severity == "error"
