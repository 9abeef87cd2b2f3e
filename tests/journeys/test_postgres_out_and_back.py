"""A PostgreSQL database goes out and comes back equal, and its artefact opens with stock tools alone."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backups.destinations import open_storage
from backups.models import Backup, Copy
from backups.pipeline.keys import generate_identity
from backups.storage.base import ObjectStorage
from databases.models import Database
from jobs.models import Status
from tests.room import back_up, local_destination, register, restore_into, s3_destination, verify
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db(transaction=True)

Fresh = Callable[[PostgresServer], str]

SHOP = """
CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, note jsonb);
CREATE TABLE orders (id serial PRIMARY KEY, customer bigint REFERENCES customers, total numeric(10,2), at timestamptz);
CREATE TABLE "Wide ""name"", ünïcode" ("a b" int[], raw bytea);
CREATE VIEW spent AS SELECT customer, sum(total) AS total FROM orders GROUP BY customer;
INSERT INTO customers (name, note) SELECT 'customer ' || n, jsonb_build_object('n', n) FROM generate_series(1, 2000) n;
INSERT INTO orders (customer, total, at)
    SELECT 1 + n % 2000, n / 7.0, timestamptz '2026-01-01' + n * interval '1 minute' FROM generate_series(1, 20000) n;
INSERT INTO "Wide ""name"", ünïcode" SELECT ARRAY[n, -n], decode(md5(n::text), 'hex') FROM generate_series(1, 100) n;
SELECT lo_from_bytea(0, decode(repeat('c0ffee', 5000), 'hex'));
"""

HASH = """
SELECT 'customers', count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM customers t UNION ALL
SELECT 'orders', count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM orders t UNION ALL
SELECT 'wide', count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM "Wide ""name"", ünïcode" t UNION ALL
SELECT 'spent', count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM spent t UNION ALL
SELECT 'sequence', last_value, '' FROM orders_id_seq UNION ALL
SELECT 'large objects', count(*), md5(string_agg(md5(lo_get(oid)), '|')) FROM pg_largeobject_metadata;
"""


@pytest.fixture
def shop(postgres_server: PostgresServer, fresh_database: Fresh) -> tuple[PostgresServer, str]:
    name = fresh_database(postgres_server)
    postgres_server.psql(SHOP, name)
    return postgres_server, name


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, db: None) -> ObjectStorage:
    if request.param == "local":
        return open_storage(local_destination(tmp_path / "disk"))
    server: S3Server = request.getfixturevalue("s3")
    return open_storage(s3_destination(server, request.getfixturevalue("s3_bucket"), prefix="a/b"))


def fetch(storage: ObjectStorage, backup: Backup, folder: Path) -> Path:
    """The artefact as a file, as an operator would download it."""
    copy = backup.copies.get()
    path = folder / Path(copy.key).name
    block = bytearray(1 << 20)
    with storage.open_stream(copy.key) as stored, path.open("wb") as file:
        while count := stored.readinto(block):
            file.write(memoryview(block)[:count])
    return path


def assert_equal(server: PostgresServer, source: str, target: str) -> None:
    def schema(name: str) -> list[str]:
        dump = [str(server.bin_dir / "pg_dump"), "-s", "-d", name]
        text = subprocess.run(dump, env=server.environment(), capture_output=True, text=True, check=True).stdout
        return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]

    assert schema(target) == schema(source)
    assert server.psql(HASH, target) == server.psql(HASH, source)


@pytest.mark.parametrize(
    ("storage", "format", "compression"),
    [
        ("local", "custom", "zstd"),
        ("local", "custom", "gzip"),
        ("local", "plain", "zstd"),
        ("local", "plain", "none"),
        ("s3", "custom", "zstd"),
        ("s3", "plain", "none"),
    ],
    indirect=["storage"],
)
def test_out_and_back_is_equal(
    shop: tuple[PostgresServer, str],
    fresh_database: Fresh,
    storage: ObjectStorage,
    format: str,
    compression: str,
) -> None:
    server, name = shop
    source = register(server, name, compression=compression, options={"format": format})
    target = register(server, fresh_database(server))

    backup = back_up(source)
    assert (backup.status, backup.error_message) == (Status.COMPLETED, "")
    assert verify(backup).status == Status.COMPLETED
    restore = restore_into(target, backup)
    assert (restore.status, restore.error_message) == (Status.COMPLETED, "")
    assert_equal(server, name, target.database_name)


def test_the_sidecar_says_what_the_artefact_is(shop: tuple[PostgresServer, str], storage: ObjectStorage) -> None:
    server, name = shop
    backup = back_up(register(server, name))
    copy = backup.copies.get()
    sidecar = json.loads(storage.read_text(copy.key + ".manifest.json"))
    stored = storage.stat(copy.key)
    assert stored is not None and stored.size == backup.size == sidecar["artefact"]["size"]
    assert sidecar["artefact"]["sha256"] == backup.sha256
    assert sidecar["engine"]["counts"]["public.customers"] == 2000
    assert sidecar["engine"]["counts"]["public.orders"] == 20000


OPEN = {
    ("custom", "zstd", "age"): "age -d -i {key} {file} | zstd -dc | pg_restore -e -1 -d {target}",
    ("custom", "gzip", "none"): "gunzip -c {file} | pg_restore -e -1 -d {target}",
    ("custom", "none", "none"): "pg_restore -e -1 -d {target} {file}",
    ("plain", "zstd", "none"): "zstd -dc {file} | psql -qX -v ON_ERROR_STOP=1 -1 -d {target}",
    ("plain", "gzip", "age"): "age -d -i {key} {file} | gunzip -c | psql -qX -v ON_ERROR_STOP=1 -1 -d {target}",
}


@pytest.mark.parametrize(("format", "compression", "encryption"), OPEN)
def test_stock_tools_alone_restore_it(
    shop: tuple[PostgresServer, str],
    fresh_database: Fresh,
    tmp_path: Path,
    format: str,
    compression: str,
    encryption: str,
) -> None:
    server, name = shop
    storage = open_storage(local_destination(tmp_path / "disk"))
    identity, recipient = generate_identity()
    key = tmp_path / "key.txt"
    key.write_text(identity + "\n")
    source = register(
        server,
        name,
        compression=compression,
        encryption=encryption,
        encryption_recipients=[recipient] if encryption == "age" else None,
        options={"format": format},
    )
    file = fetch(storage, back_up(source), tmp_path)
    target = fresh_database(server)
    command = OPEN[format, compression, encryption].format(key=key, file=file, target=target)
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], env=server.environment(), check=True, stdout=subprocess.DEVNULL
    )
    assert_equal(server, name, target)


class TestWithoutAKeyOnTheServer:
    """A site that holds only the public side backs up, verifies digests, and restores with a key in the request."""

    @pytest.fixture
    def shop(self, postgres18: PostgresServer, fresh_database: Fresh) -> tuple[PostgresServer, str]:
        name = fresh_database(postgres18)
        postgres18.psql(SHOP, name)
        return postgres18, name

    @pytest.fixture
    def storage(self, tmp_path: Path, db: None) -> ObjectStorage:
        return open_storage(local_destination(tmp_path / "disk"))

    @pytest.fixture
    def sealed(
        self, shop: tuple[PostgresServer, str], storage: ObjectStorage, settings: Any
    ) -> tuple[Backup, str, Database]:
        server, name = shop
        identity, recipient = generate_identity()
        settings.BACKUPSITE_AGE_IDENTITIES = []
        settings.BACKUPSITE_AGE_RECIPIENTS = [recipient]
        source = register(server, name, encryption="age")
        return back_up(source), identity, source

    def test_it_backs_up_and_verifies_digests(self, sealed: tuple[Backup, str, Database]) -> None:
        backup, _, _ = sealed
        verification = verify(backup)
        assert verification.status == Status.COMPLETED
        assert verification.report["copies"][0]["checked"] == ["size", "digests"]

    def test_digests_alone_do_not_take_a_copy_out_of_quarantine(self, sealed: tuple[Backup, str, Database]) -> None:
        backup, identity, _ = sealed
        backup.copies.update(state=Copy.State.QUARANTINED, error="the archive is not whole")
        without_key = verify(backup)
        assert (without_key.status, without_key.error_code) == (Status.FAILED, "missing_key")
        backup.refresh_from_db()
        assert (backup.copies.get().state, backup.verified_at) == (Copy.State.QUARANTINED, None)
        verify(backup, identity=identity)
        assert backup.copies.get().state == Copy.State.STORED

    def test_a_restore_takes_the_key_and_forgets_it(
        self, sealed: tuple[Backup, str, Database], fresh_database: Fresh, shop: tuple[PostgresServer, str]
    ) -> None:
        backup, identity, source = sealed
        target = register(shop[0], fresh_database(shop[0]))
        restore = restore_into(target, backup, identity=identity)
        assert (restore.status, restore.error_message) == (Status.COMPLETED, "")
        assert restore.identity is None
        assert_equal(shop[0], source.database_name, target.database_name)

    def test_a_restore_with_the_wrong_key_fails_and_writes_nothing(
        self, sealed: tuple[Backup, str, Database], fresh_database: Fresh, shop: tuple[PostgresServer, str]
    ) -> None:
        target = register(shop[0], fresh_database(shop[0]))
        restore = restore_into(target, sealed[0], identity=generate_identity()[0])
        assert (restore.status, restore.error_code) == (Status.FAILED, "wrong_key")
        assert shop[0].psql("SELECT count(*) FROM pg_class WHERE relnamespace = 2200", target.database_name) == "0"
