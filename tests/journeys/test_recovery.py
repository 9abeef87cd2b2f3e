"""The road back: from a bucket and the kit, or from a bucket and the age key alone, to a site that restores."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command

from backups.models import Backup
from backups.pipeline.keys import generate_identity
from backups.services.adopt import adopt
from demo.client import Client
from demo.site import Site, running_site
from jobs.models import Status
from tests import room
from tests.databases.engines.s3_bucket.buckets import content_of, fill
from tests.live import until
from tests.prepared import QUICK, prepare
from tests.room import register_bucket, register_service, restore_into, s3_destination
from tests.servers.postgres import PostgresServer
from tests.servers.records import RecordsServer, sample
from tests.servers.s3 import S3Server

REPOSITORY = Path(__file__).resolve().parents[2]
ENDED = ("completed", "failed", "cancelled")


@pytest.fixture(autouse=True)
def newest_clients() -> None:
    """The sites here are processes with settings of their own."""


@pytest.fixture
def server(postgres: Callable[[int], PostgresServer]) -> PostgresServer:
    return postgres(18)


@contextmanager
def site(folder: Path, server: PostgresServer) -> Iterator[tuple[Site, Client]]:
    folder.mkdir(exist_ok=True)
    prepare(folder / "data")
    env = {**QUICK, "BACKUPSITE_SELF_BACKUP": "true", "BACKUPSITE_LEASE": "6", "BACKUPSITE_SWEEP_INTERVAL": "1"}
    with running_site(folder, pg_bin_dir=server.bin_dir, env=env) as found:
        yield found, found.login()


def manage(folder: Path, *argv: str, ends_with: int = 0) -> str:
    env = {**QUICK, "PATH": os.environ["PATH"], "BACKUPSITE_DATA_DIR": str(folder / "data"), "HOME": str(folder)}
    command = [sys.executable, str(REPOSITORY / "manage.py"), *argv]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == ends_with, done.stdout + done.stderr
    return done.stdout


def add_bucket(client: Client, s3: S3Server, bucket: str) -> None:
    body = {"id": "bucket", "name": "bucket", "kind": "s3", "bucket": bucket, "prefix": "site/a", "is_default": True}
    keys = {"access_key": s3.access_key, "secret_key": s3.secret_key, "region": s3.region, "addressing": "path"}
    client.post("/api/destinations", {**body, **keys, "endpoint_url": s3.endpoint_url})


def add_postgres(client: Client, server: PostgresServer, pk: str, dbname: str) -> None:
    where = {"host": server.host, "port": server.port, "username": server.user, "password": server.password}
    body = {"id": pk, "name": pk, "engine": "postgres", "database_name": dbname, "encryption": "age", **where}
    client.post("/api/databases", body)


def ended(client: Client, path: str) -> dict[str, Any]:
    job: dict[str, Any] = {}

    def over() -> bool:
        job.update(client.get(path))
        return job["status"] in ENDED

    until(over, seconds=60, what=lambda: job)
    assert job["status"] == "completed", job
    return job


def back_up(client: Client, pk: str, **values: Any) -> str:
    asked = client.post("/api/backups", {"database_id": pk, **values})
    return str(ended(client, f"/api/backups/{asked['id']}")["id"])


def restore(client: Client, backup: str, target: str) -> None:
    asked = client.post(f"/api/backups/{backup}/restore", {"target_database_id": target, "confirm": target})
    ended(client, f"/api/restores/{asked['id']}")


def listed(client: Client) -> dict[str, str]:
    return {one["id"]: one["status"] for one in client.get("/api/backups?page_size=100")["results"]}


def shell(command: str, folder: Path) -> str:
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@pytest.fixture
def shop(server: PostgresServer, fresh_database: Callable[[PostgresServer], str]) -> str:
    name = fresh_database(server)
    server.psql("CREATE TABLE orders (id int PRIMARY KEY, note text)", name)
    server.psql("INSERT INTO orders SELECT n, md5(n::text) FROM generate_series(1, 500) n", name)
    return name


def rows(server: PostgresServer, dbname: str) -> str:
    return str(server.psql("SELECT count(*), md5(string_agg(id || note, ',' ORDER BY id)) FROM orders", dbname))


def test_from_an_empty_machine_the_bucket_and_the_kit_to_a_site_that_restores(
    tmp_path: Path,
    server: PostgresServer,
    shop: str,
    s3: S3Server,
    s3_bucket: str,
    fresh_database: Callable[[PostgresServer], str],
) -> None:
    lost, found = tmp_path / "lost", tmp_path / "found"
    with site(lost, server) as (_, client):
        add_bucket(client, s3, s3_bucket)
        add_postgres(client, server, "shop", shop)
        first = back_up(client, "shop")
        kit = tmp_path / "kit.txt"
        manage(lost, "recovery_kit", "--output", str(kit))
        back_up(client, "backupsite")
        own = back_up(client, "backupsite")
        after = back_up(client, "shop", label="stored after the site was")
    assert kit.stat().st_mode & 0o777 == 0o600
    shutil.rmtree(lost)

    # From here on with what the kit says, word for word.
    found.mkdir()
    steps = re.findall(r"^   (umask .*|bash fetch-bucket.*)$", kit.read_text(), re.MULTILINE)
    assert len(steps) == 2
    shell(steps[0].replace("KIT", str(kit)), found)
    assert own in shell(steps[1], found), "the newest one, which the kit did not know yet"

    with site_with_a_new_password(found, server) as client:
        # The folder of the lost machine is lost too, and told: hence they end with 1.
        assert "bucket: 4 sidecars; 1 backups and 0 further copies adopted" in manage(found, "adopt", ends_with=1)
        until(lambda: listed(client).get(own) == "completed", seconds=60, what=lambda: listed(client))
        assert {first, own, after} <= {pk for pk, status in listed(client).items() if status == "completed"}
        assert "0 missing, 0 of another size" in manage(found, "reconcile", ends_with=1)
        add_postgres(client, server, "target", target := fresh_database(server))
        restore(client, after, "target")
        assert rows(server, target) == rows(server, shop)
        assert back_up(client, "shop"), "its sealed password opens with the keys of the kit"


@contextmanager
def site_with_a_new_password(folder: Path, server: PostgresServer) -> Iterator[Client]:
    """The users are those of the old site; a lost password is set anew, as docs/disaster-recovery.md says."""
    (folder / "admin-password").write_text("brought-back-4711\n")
    script = (
        "from django.contrib.auth.models import User;"
        "u = User.objects.get(username='admin'); u.set_password('brought-back-4711'); u.save()"
    )
    manage(folder, "shell", "-c", script)
    with site(folder, server) as (_, client):
        yield client


@pytest.mark.django_db(transaction=True)
def test_from_the_bucket_and_the_age_key_alone_everything_is_listed_and_a_chain_restored(
    s3: S3Server, s3_bucket: str, records_service: RecordsServer, settings: Any
) -> None:
    sample(records_service, 30)
    images = s3.make_bucket()
    fill(s3, images, {"a": b"one", "b/c": b"two"})
    identity, recipient = generate_identity()
    own: dict[str, Any] = {"encryption": "age", "encryption_recipients": [recipient]}
    s3_destination(s3, s3_bucket)
    source = register_bucket(s3, images, id="images", **own)
    rows = {"records_path": "data.items", "pagination": "page"}
    made = [room.back_up(source), room.back_up(register_service(records_service, options=rows, id="crm", **own))]
    for number in range(2):
        fill(s3, images, {"a": b"changed" + bytes(number), f"new/{number}": b"three"})
        made.append(room.back_up(source, type="incremental"))
    before = {backup.pk: (backup.sha256, backup.parent_id, backup.manifest) for backup in made}
    assert {backup.status for backup in made} == {Status.COMPLETED}

    call_command("flush", interactive=False)
    settings.BACKUPSITE_AGE_IDENTITIES = []
    settings.BACKUPSITE_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    destination = s3_destination(s3, s3_bucket)
    (told,) = adopt(destinations=[destination])
    assert (told.backups, told.refusals, told.databases) == (4, 0, {"images": 3, "crm": 1})
    again = {backup.pk: (backup.sha256, backup.parent_id, backup.manifest) for backup in Backup.objects.all()}
    assert again == before
    target = s3.make_bucket()
    newest = Backup.objects.get(pk=made[-1].pk)
    restored = restore_into(register_bucket(s3, target), newest, identity=identity)
    assert (restored.status, restored.error_message) == (Status.COMPLETED, "")
    assert content_of(s3, target) == content_of(s3, images)
    assert room.verify(newest, identity=identity).status == Status.COMPLETED

    # Registered under its id, the Database goes on where it was; without its index the next backup is a full one.
    went_on = room.back_up(register_bucket(s3, images, id="images", **own), type="incremental")
    assert (went_on.status, went_on.type) == (Status.COMPLETED, "full")
    assert len(Backup.objects.filter(database="images")) == 4
