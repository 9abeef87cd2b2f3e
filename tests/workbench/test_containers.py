"""The image and the compose file, as far as they can be judged without a container engine."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from backupsite.management.commands.serve import Command as Serve
from tests.servers.fetch import REPOSITORY

BIN = REPOSITORY / ".venv" / "bin"
OURS = ("web", "worker", "sweeper", "beat")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    return loaded


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)


def test_the_compose_file_follows_the_compose_schema() -> None:
    done = run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")
    assert done.returncode == 0, done.stdout


def test_the_schema_check_notices_a_fault(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text("services: {web: {imag: x}}")
    done = run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", wrong)
    assert done.returncode == 1


def test_the_dockerfile_passes_its_linter() -> None:
    done = run(BIN / "hadolint", "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_every_process_of_ours_runs_without_privilege_on_a_read_only_root(compose: dict[str, Any]) -> None:
    for name in OURS:
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["command"] == ["serve", "--only", name]
    users = re.findall(r"^USER (.+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    assert users[-1].split(":")[0] not in ("0", "root")


def test_the_commands_and_variables_are_ones_the_site_knows(compose: dict[str, Any]) -> None:
    parser = Serve().create_parser("manage.py", "serve")
    code = "".join(path.read_text() for path in (REPOSITORY / "backupsite").rglob("*.py"))
    for name in OURS:
        service = compose["services"][name]
        assert parser.parse_args(service["command"][1:]).only == (name,)
        for variable in service["environment"]:
            assert f'"{variable.removesuffix("_FILE")}"' in code, variable


def test_no_service_is_privileged_or_reaches_the_host(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service), name
        assert service.get("network_mode") != "host"
        assert "docker.sock" not in json.dumps(service)


def test_only_the_site_is_published_and_only_on_this_host(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"web": ["${BACKUPSITE_LISTEN:-127.0.0.1:8000}:8000"]}


def test_every_service_says_how_healthy_it_is_or_that_its_supervisor_does(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name == "web":  # the image's own HEALTHCHECK
            assert "/healthz" in (REPOSITORY / "Dockerfile").read_text()
        elif name in OURS:
            assert service["healthcheck"] == {"disable": True}
        else:
            assert service["healthcheck"]["test"], name


def test_test_databases_start_only_on_request(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert (service.get("profiles") == ["test"]) is name.startswith("test-")


def test_every_image_names_its_version(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name not in OURS:
            image, _, tag = service["image"].partition(":")
            assert tag and tag != "latest", image


def test_make_secrets_writes_every_secret_the_compose_file_reads_and_keeps_it(
    tmp_path: Path, compose: dict[str, Any]
) -> None:
    script = tmp_path / "deploy" / "make-secrets"
    script.parent.mkdir()
    script.write_bytes((REPOSITORY / "deploy" / "make-secrets").read_bytes())
    subprocess.run(["sh", script], check=True, stdout=subprocess.DEVNULL)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert {f"./secrets/{name}" for name in made} == {secret["file"] for secret in compose["secrets"].values()}
    assert all(text.strip() for text in made.values())
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    assert made["postgres_password"].strip() in made["database_url"]
    assert made["redis_password"].strip() in made["broker_url"]
    json.loads(made["s3.json"])

    subprocess.run(["sh", script], check=True, stdout=subprocess.DEVNULL)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made


def test_the_made_encryption_key_encrypts(tmp_path: Path) -> None:
    script = tmp_path / "deploy" / "make-secrets"
    script.parent.mkdir()
    script.write_bytes((REPOSITORY / "deploy" / "make-secrets").read_bytes())
    subprocess.run(["sh", script], check=True, stdout=subprocess.DEVNULL)
    fernet = Fernet((tmp_path / "secrets" / "encryption_keys").read_text().strip())
    assert fernet.decrypt(fernet.encrypt(b"secret")) == b"secret"


def test_no_secret_stands_in_the_compose_file(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable in service.get("environment", {}):
            if re.search(r"PASSWORD|SECRET|KEY|_URL", variable) and variable != "BACKUPSITE_PUBLIC_URL":
                assert variable.endswith("_FILE"), f"{name}: {variable}"


def test_every_file_the_image_copies_exists_and_nothing_else_is_let_in() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    apps = {path.parent.name for path in REPOSITORY.glob("*/apps.py")} | {"backupsite", "static", "templates"}
    let_in = {pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")}
    assert apps <= let_in
    assert not let_in & {"tests", "data", "secrets", ".venv", ".servers", ".git"}
