"""Opening an artefact without Backupsite, with the machine's tools and with the formats' own libraries."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
import zstandard

from demo.opening import Opening, open_artefact
from tests.servers.postgres import PostgresServer


@pytest.fixture(params=["tools", "libraries"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A machine with age and zstd on the PATH, and a bare one."""
    if request.param == "libraries":
        monkeypatch.setattr(shutil, "which", lambda name: None)
    return str(request.param)


@pytest.fixture
def artefact(
    postgres18: PostgresServer, fresh_database: Callable[[PostgresServer], str], tmp_path: Path
) -> tuple[Path, Path]:
    """A `.dump.zst.age` of one table, and the identity file that opens it."""
    name = fresh_database(postgres18)
    postgres18.psql("CREATE TABLE things AS SELECT generate_series(1, 50000) AS n", name)
    command = [str(postgres18.bin_dir / "pg_dump"), "-Fc", "-Z0", name]
    dump = subprocess.run(command, env=postgres18.environment(), capture_output=True, check=True).stdout
    key = pyrage.x25519.Identity.generate()
    identity, stored = tmp_path / "identity", tmp_path / "things.dump.zst.age"
    identity.write_text(f"# a comment\n{key}\n")
    stored.write_bytes(pyrage.encrypt(zstandard.compress(dump), [key.to_public()]))
    return stored, identity


def open_archive(artefact: Path, identity: Path, server: PostgresServer) -> Opening:
    tool = [str(server.bin_dir / "pg_restore"), "--verbose", "--file=/dev/null"]
    return open_artefact(artefact, identity=identity, tool=tool)


def test_it_reads_the_archive_to_its_end(machine: str, artefact: tuple[Path, Path], postgres18: PostgresServer) -> None:
    stored, identity = artefact
    opened = open_archive(stored, identity, postgres18)
    assert opened.said.count("pg_restore: creating ") == 1
    assert ("pyrage" in opened.how) == (machine == "libraries")


@pytest.mark.usefixtures("machine")
def test_an_archive_cut_before_it_was_encrypted_does_not_open(
    artefact: tuple[Path, Path], postgres18: PostgresServer
) -> None:
    stored, identity = artefact
    key = pyrage.x25519.Identity.from_str(identity.read_text().splitlines()[1])
    whole = pyrage.decrypt(stored.read_bytes(), [key])
    stored.write_bytes(pyrage.encrypt(whole[:-2000], [key.to_public()]))
    with pytest.raises(RuntimeError):
        open_archive(stored, identity, postgres18)


@pytest.mark.usefixtures("machine")
def test_a_cut_artefact_does_not_open(artefact: tuple[Path, Path], postgres18: PostgresServer) -> None:
    stored, identity = artefact
    stored.write_bytes(stored.read_bytes()[:-1000])
    with pytest.raises((RuntimeError, pyrage.DecryptError)):
        open_archive(stored, identity, postgres18)
