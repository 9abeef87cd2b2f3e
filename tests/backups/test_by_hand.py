"""The commands on a backup's page really restore its artefact, with stock tools alone."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backups.by_hand import restore_by_hand
from backups.models import Backup, Destination
from backups.pipeline.keys import generate_identity
from backups.services.request import request_backup
from jobs.services.run import run_job
from tests.room import local_destination, register
from tests.servers.postgres import PostgresServer

S3 = Destination(kind="s3", bucket="vault", prefix="night/", endpoint_url="https://s3.example.org")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("options", [{"format": "custom"}, {"format": "plain"}], ids=lambda value: value["format"])
@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
@pytest.mark.parametrize("encryption", ["none", "age"])
def test_the_commands_restore_the_artefact(
    postgres18: PostgresServer,
    fresh_database: Callable[[PostgresServer], str],
    tmp_path: Path,
    settings: Any,
    options: dict[str, str],
    compression: str,
    encryption: str,
) -> None:
    settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(postgres18.bin_dir)]}
    identity, recipient = generate_identity()
    source, target = fresh_database(postgres18), fresh_database(postgres18)
    postgres18.psql("CREATE TABLE t AS SELECT n, md5(n::text) AS h FROM generate_series(1, 2000) n", source)
    disk = local_destination(tmp_path / "the folder")
    values = {"compression": compression, "encryption": encryption, "encryption_recipients": [recipient]}
    database = register(postgres18, source, options=options, **values)
    backup = request_backup(database=database)
    run_job(kind_name="backup", job_id=backup.pk)
    backup.refresh_from_db()

    room = tmp_path / "elsewhere"
    room.mkdir()
    (room / "key.txt").write_text(identity)
    commands = restore_by_hand(backup=backup, destination=disk, key=backup.copies.get().key)
    script = "set -eo pipefail\n" + "\n".join(commands).replace("TARGET", target)
    environment = {**postgres18.environment(), "PATH": f"{postgres18.bin_dir}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=room, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stderr}"
    rows = "SELECT count(*), md5(string_agg(h, '' ORDER BY n)) FROM t"
    assert postgres18.psql(rows, target) == postgres18.psql(rows, source)


def test_a_bucket_is_read_with_its_own_tool() -> None:
    backup = Backup(engine="postgres", compression="zstd", encryption="none")
    fetch = restore_by_hand(backup=backup, destination=S3, key="shop/2026/03/shop.dump.zst")[0]
    assert fetch == "aws s3 cp --endpoint-url https://s3.example.org s3://vault/night/shop/2026/03/shop.dump.zst ."
