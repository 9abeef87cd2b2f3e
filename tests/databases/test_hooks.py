"""Which programs a host's setting lets hooks start, and what hooks must look like."""

from pathlib import Path
from typing import Any

import pytest

from databases.hooks import Hooks, hook_faults, program_fault


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`hooks/` is allowed, with a program and a folder in it; `elsewhere/` is not."""
    for path in ("hooks/freeze", "hooks/inner/deep", "elsewhere/shell"):
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).touch(0o755)
    return tmp_path


def allows(folder: Path, program: str, *entries: str) -> bool:
    return not program_fault(program.format(folder), [entry.format(folder) for entry in entries or ("{}/hooks/",)])


def test_a_folder_allows_the_programs_directly_inside(folder: Path) -> None:
    assert allows(folder, "{}/hooks/freeze")
    assert not allows(folder, "{}/hooks/inner/deep")
    assert not allows(folder, "{}/elsewhere/shell")
    assert not allows(folder, "{}/hooks/freeze", "{}/hooks")  # without its slash it names a program


def test_a_program_is_allowed_by_its_own_name_only(folder: Path) -> None:
    assert allows(folder, "{}/hooks/freeze", "/bin/true", "{}/hooks/freeze")
    assert not allows(folder, "{}/hooks/freeze2", "{}/hooks/freeze")
    assert not allows(folder, "{}/elsewhere/freeze", "{}/hooks/freeze")


@pytest.mark.parametrize(
    "program", ["freeze", "./freeze", "", "{}/hooks/../elsewhere/shell", "{}/hooks/inner/../freeze", "{}/hooks/"]
)
def test_relative_and_climbing_paths_are_refused(folder: Path, program: str) -> None:
    assert not allows(folder, program)


def test_links_do_not_lead_out_of_what_is_allowed(folder: Path) -> None:
    (folder / "hooks" / "out").symlink_to(folder / "elsewhere")
    (folder / "hooks" / "shell").symlink_to(folder / "elsewhere" / "shell")
    assert not allows(folder, "{}/hooks/out/shell")
    assert not allows(folder, "{}/hooks/shell")
    assert allows(folder, "{}/hooks/shell", "{}/hooks/shell")  # named by the operator, link or not


def test_another_name_of_an_allowed_folder_is_that_folder(folder: Path) -> None:
    (folder / "alias").symlink_to(folder / "hooks")
    assert allows(folder, "{}/alias/freeze")
    assert allows(folder, "{}/hooks/freeze", "{}/alias/")
    assert allows(folder, "{}/alias/freeze", "{}/hooks/freeze")


def test_a_second_name_of_a_named_program_is_another_program(folder: Path) -> None:
    """The names of a multi-call program are links to one file: `true` allowed is not `sh` allowed."""
    for name in ("true", "sh"):
        (folder / "hooks" / name).symlink_to(folder / "elsewhere" / "shell")
    assert allows(folder, "{}/hooks/true", "{}/hooks/true")
    assert not allows(folder, "{}/hooks/sh", "{}/hooks/true")


@pytest.mark.parametrize(
    ("stored", "field"),
    [
        ([], "hooks"),
        ({"before": []}, "hooks"),
        ({"pre": "/bin/true"}, "hooks.pre"),
        ({"pre": ["/bin/true"]}, "hooks.pre"),
        ({"pre": [[]]}, "hooks.pre"),
        ({"pre": [["/bin/true", 1]]}, "hooks.pre"),
        ({"post": [["/bin/true", "a\nb"]]}, "hooks.post"),
        ({"post": [["/bin/true", "a\0b"]]}, "hooks.post"),
        ({"post": [["/bin/true"] * 101]}, "hooks.post"),
        ({"post": [["/bin/true"]] * 21}, "hooks.post"),
        ({"post": [["/bin/true", "x" * 5000]]}, "hooks.post"),
        ({"post": [["/bin/false"]]}, "hooks.post"),
        ({"timeout_s": 0}, "hooks.timeout_s"),
        ({"timeout_s": 3601}, "hooks.timeout_s"),
        ({"timeout_s": True}, "hooks.timeout_s"),
        ({"timeout_s": "60"}, "hooks.timeout_s"),
    ],
)
def test_each_fault_is_told_at_its_field(stored: Any, field: str) -> None:
    assert list(hook_faults(stored, ["/bin/true"])) == [field]


def test_every_command_that_is_wrong_is_named() -> None:
    faults = hook_faults({"pre": [["true"], ["/bin/true"], ["/bin/sh"]]}, ["/bin/true"])
    assert [text.partition(":")[0] for text in faults["hooks.pre"]] == ["Command 1", "Command 3"]


def test_no_hooks_are_fine_where_none_are_allowed() -> None:
    assert hook_faults({}, []) == hook_faults({"pre": [], "post": [], "timeout_s": 60}, []) == {}
    assert "hooks are off" in hook_faults({"pre": [["/bin/true"]]}, [])["hooks.pre"][0]


def test_what_is_left_out_has_a_default() -> None:
    assert not Hooks.of({"timeout_s": 5})
    assert Hooks.of({"pre": [["/bin/true"]]}).as_stored() == {"pre": [["/bin/true"]], "post": [], "timeout_s": 60}
