"""`make test` runs what failed among others again, alone; neither a crash nor a broken module is excused by that."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AMONG_OTHERS = "import os\ndef test_it(): assert 'PYTEST_XDIST_WORKER' not in os.environ\n"
PLUGIN = "from tests.crashes import pytest_handlecrashitem, pytest_sessionfinish\n"


def suite(folder: Path, **modules: str) -> "subprocess.CompletedProcess[str]":
    """Runs these test modules as `make test` would, in a checkout of their own."""
    tests = folder / "tests"
    tests.mkdir()
    for name in ("again", "crashes"):
        shutil.copy(ROOT / "tests" / f"{name}.py", tests)
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = ["--import-mode=importlib"]\n')
    for name, text in {"__init__": "", "conftest": PLUGIN, "test_fine": "def test_it(): pass\n", **modules}.items():
        (tests / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "tests.again", "-p", "xdist.plugin", "-n", "1", "tests"]
    environment = {"PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_what_passes_alone_passes_and_is_named(tmp_path: Path) -> None:
    done = suite(tmp_path, test_crowd=AMONG_OTHERS)
    assert done.returncode == 0, done.stdout
    assert "pass alone. Each is a defect to be mended:\n!!   tests/test_crowd.py::test_it\n!!!" in done.stdout


@pytest.mark.parametrize(
    ("module", "again"),
    [
        ("def test_it(): assert 0", True),
        ("import os\ndef test_it():\n    if 'PYTEST_XDIST_WORKER' in os.environ: os._exit(1)", False),
        ("import os\nassert 'PYTEST_XDIST_WORKER' not in os.environ\ndef test_it(): pass", False),
    ],
    ids=["fails alone too", "takes its process along", "cannot be imported"],
)
def test_a_failure_that_is_not_the_crowds_stays_one(tmp_path: Path, module: str, again: bool) -> None:
    done = suite(tmp_path, test_crowd=AMONG_OTHERS, test_bad=module)
    assert done.returncode != 0
    assert ("run again now, alone" in done.stdout) is again, done.stdout
