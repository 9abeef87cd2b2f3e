"""What `doctor` says of hooks."""

from pathlib import Path
from typing import Any

import pytest

from backupsite.management.checks import hooks
from tests.api import make_database

pytestmark = pytest.mark.django_db


def test_it_says_that_they_are_off(settings: Any) -> None:
    settings.BACKUPSITE_HOOK_PROGRAMS = []
    assert [(state, text) for state, text, _ in hooks()] == [("OK", "off: BACKUPSITE_HOOK_PROGRAMS names no program")]


def test_it_says_which_programs_are_there_and_which_others_may_change(settings: Any, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for name, mode in (("freeze", 0o755), ("thaw", 0o777), ("notes.txt", 0o644)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    settings.BACKUPSITE_HOOK_PROGRAMS = [f"{tmp_path}/", "/nowhere/program"]
    assert [(state, text) for state, text, _ in hooks()] == [
        ("OK", "on"),
        ("OK", f"{tmp_path}: freeze, thaw"),
        ("WARN", f"{tmp_path}/thaw can be changed by others, who could run what they like."),
        ("WARN", "/nowhere/program is not on this host, or not for this user."),
    ]


def test_a_database_whose_hooks_are_allowed_no_longer_is_a_failure(settings: Any) -> None:
    settings.BACKUPSITE_HOOK_PROGRAMS = ["/bin/true"]
    make_database("fine", hooks={"pre": [["/bin/true"]]})
    make_database("narrowed", hooks={"post": [["/bin/false"]]})
    failures = [text for state, text, _ in hooks() if state == "FAIL"]
    assert failures == ["narrowed is not backed up: BACKUPSITE_HOOK_PROGRAMS does not allow /bin/false."]
