"""What is wired by a name in a file: make targets, scripts, contracts, hooks."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers.fetch import REPOSITORY

APPS = {"backupsite", *(path.parent.name for path in REPOSITORY.glob("*/apps.py"))}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


def pyproject() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def test_make_help_lists_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    listed = set(re.findall(r"^  make (\S+)", done.stdout, re.MULTILINE))
    assert listed == targets()


@pytest.mark.parametrize(
    "page",
    sorted(str(path.relative_to(REPOSITORY)) for path in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]),
)
def test_every_make_target_a_page_names_exists(page: str) -> None:
    named = re.findall(r"(?:^|`)make ([a-z-]+)", (REPOSITORY / page).read_text(), re.MULTILINE)
    assert set(named) <= targets()


def test_every_module_a_make_target_runs_exists() -> None:
    for module in re.findall(r"\$\(PYTHON\) -m ([a-z_.]+)", (REPOSITORY / "Makefile").read_text()):
        if module in ("ruff", "mypy", "pytest"):
            continue
        path = REPOSITORY / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_ci_runs_what_make_check_runs() -> None:
    assert "make --keep-going check" in (REPOSITORY / ".ci" / "run").read_text()
    assert (REPOSITORY / ".ci" / "run").stat().st_mode & 0o111


def test_every_app_is_under_the_import_contracts_and_measured() -> None:
    configuration = pyproject()["tool"]
    assert set(configuration["importlinter"]["root_packages"]) >= APPS
    assert set(configuration["coverage"]["run"]["source"]) >= APPS
    rooms, inside = configuration["importlinter"]["contracts"][:2]
    assert {room for layer in rooms["layers"] for room in layer.split(" | ")} >= APPS
    assert set(inside["containers"]) >= APPS - {"backupsite"}


def test_every_concrete_engine_is_named_by_the_registry_only() -> None:
    protected = next(
        contract
        for contract in pyproject()["tool"]["importlinter"]["contracts"]
        if contract["name"] == "Only the registry names the concrete engines"
    )
    folders = (REPOSITORY / "databases" / "engines").glob("*/engine.py")
    assert set(protected["protected_modules"]) == {f"databases.engines.{path.parent.name}" for path in folders}


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("jobs/errors.py", "import backups.models", "Imports between the rooms"),
        ("databases/models.py", "import databases.services.check", "Inside an app"),
        ("databases/engines/base.py", "import django", "Engines know neither Django"),
        ("databases/engines/base.py", "import backups.pipeline", "Engines know neither Django"),
        ("backups/pipeline/__init__.py", "import celery", "The pipeline knows neither Django"),
        ("backups/pipeline/__init__.py", "import databases.engines.base", "The pipeline knows neither Django"),
        ("databases/services/check.py", "import databases.engines.postgres", "Only the registry"),
        ("backups/selectors.py", "import subprocess", "Only one module starts dump tools"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(tmp_path: Path, module: str, line: str, contract: str) -> None:
    for name in APPS:
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert contract in done.stdout.partition("Broken contracts")[2], done.stdout


def test_every_pre_commit_hook_runs_a_tool_that_is_installed() -> None:
    configuration = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())
    for hook in configuration["repos"][0]["hooks"]:
        assert (REPOSITORY / hook["entry"].split()[0]).exists(), hook["id"]


def test_every_requirement_is_pinned() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (REPOSITORY / name).read_text().splitlines():
            requirement = line.partition("#")[0].strip()
            assert not requirement or requirement.startswith("-r ") or "==" in requirement, line


def test_bootstrap_ends_at_once_when_nothing_changed(tmp_path: Path) -> None:
    checkout = copy_of_bootstrap(tmp_path)
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    stamp = subprocess.run(
        "cat requirements.txt requirements.txt | cksum", shell=True, cwd=checkout, check=True, capture_output=True
    )
    (checkout / ".venv" / "installed-requirements.txt").write_bytes(stamp.stdout)
    done = bootstrap(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bootstrap_says_which_python_it_needs(tmp_path: Path) -> None:
    checkout = copy_of_bootstrap(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cat", "cksum", "cmp", "dirname", "flock", "id", "sh"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = bootstrap(checkout, path=str(tools))
    assert done.returncode == 1
    assert done.stderr.startswith("error: No Python 3.11, 3.12 or 3.13 found.")
    assert not (checkout / ".venv").exists()


def copy_of_bootstrap(folder: Path) -> Path:
    checkout = folder / "checkout"
    (checkout / "scripts").mkdir(parents=True)
    shutil.copy(REPOSITORY / "scripts" / "bootstrap", checkout / "scripts")
    (checkout / "requirements.txt").write_text("")
    return checkout


def bootstrap(checkout: Path, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", checkout / "scripts" / "bootstrap"],
        env={"PATH": path},
        check=False,
        capture_output=True,
        text=True,
    )
