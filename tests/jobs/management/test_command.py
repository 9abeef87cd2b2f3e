"""What an operator reads when a command is run where no site is."""

import json
from pathlib import Path

import pytest

from tests.backupsite.site import manage


@pytest.mark.parametrize(
    "argv",
    [("backups",), ("backup", "shop"), ("check_database", "shop"), ("verify", "shop"), ("rotate_keys",)],
    ids=lambda argv: argv[0],
)
def test_a_folder_without_a_site_is_an_error_line_and_a_hint(tmp_path: Path, argv: tuple[str, ...]) -> None:
    ended = manage(*argv, data_dir=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        f"error: There is no site in {tmp_path} yet.",
        "hint: Set BACKUPSITE_DATA_DIR (or DATABASE_URL), or start it once with manage.py serve.",
    ]


def test_a_script_reads_that_there_is_no_site_as_json(tmp_path: Path) -> None:
    ended = manage("backups", "--json", data_dir=tmp_path)
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error"]["code"] == "no_site"
