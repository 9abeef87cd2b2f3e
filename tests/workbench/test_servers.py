"""The servers that other tests lean on do what those tests take for granted."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import redis
from botocore.exceptions import ClientError
from pymongo.errors import OperationFailure
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers import keeper
from tests.servers.fetch import REPOSITORY, postgres_bin, servers_folder
from tests.servers.mongodb import MongoServer
from tests.servers.postgres import CERTIFICATE_ROLE, PostgresServer, start_postgres
from tests.servers.process import ServerError
from tests.servers.redis import RedisServer
from tests.servers.s3 import S3Server


def test_postgres_is_the_version_asked_for(postgres_server: PostgresServer) -> None:
    assert postgres_server.psql("SHOW server_version").startswith(f"{postgres_server.version}.")


def test_postgres_refuses_a_wrong_password(postgres18: PostgresServer) -> None:
    environment = {**postgres18.environment(), "PGPASSWORD": "wrong"}
    done = subprocess.run(
        [postgres18.bin_dir / "psql", "-d", "postgres", "-c", "SELECT 1"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "password authentication failed" in done.stderr


def test_psql_reports_the_first_error(postgres18: PostgresServer) -> None:
    with pytest.raises(ServerError, match="division by zero"):
        postgres18.psql("SELECT 1/0; SELECT 2")


def test_a_fresh_database_is_empty_and_new_each_time(
    postgres18: PostgresServer, fresh_database: Callable[[PostgresServer], str]
) -> None:
    one, other = fresh_database(postgres18), fresh_database(postgres18)
    postgres18.psql("CREATE TABLE t (i int)", one)
    assert postgres18.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", other) == "0"


def test_postgres_with_tls_lets_a_client_certificate_in_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with start_postgres(18, folder, ssl=True) as server:
        assert server.tls is not None
        environment = server.environment() | {
            "PGUSER": CERTIFICATE_ROLE,
            "PGPASSWORD": "",
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(server.tls.ca),
            "PGSSLCERT": str(server.tls.client_cert),
            "PGSSLKEY": str(server.tls.client_key),
        }
        command = [str(server.bin_dir / "psql"), "-Atc", "SELECT current_user", "-d", "postgres"]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        assert done.stdout == f"{CERTIFICATE_ROLE}\n", done.stderr
        assert psutil.Process(server.pid).name() == "postgres"
    assert not psutil.pid_exists(server.pid)
    assert not folder.exists()


def test_postgres_starts_from_a_checkout_that_is_closed_to_other_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = postgres_bin(18).parent
    if not fetched.is_relative_to(servers_folder()):
        pytest.skip("this machine has a PostgreSQL 18 of its own, which is open to all users")
    folder = tmp_path / "closed"
    shutil.copytree(fetched, folder / fetched.name)
    folder.chmod(0o700)
    monkeypatch.setenv("BACKUPSITE_TEST_SERVERS", str(folder))
    with start_postgres(18, folder / "server") as server:
        assert server.bin_dir.is_relative_to(folder)
        assert server.psql("SELECT 1") == "1"


def test_s3_stores_and_refuses_a_wrong_key(s3: S3Server, s3_bucket: str) -> None:
    s3.client().put_object(Bucket=s3_bucket, Key="a key/ü", Body=b"bytes")
    assert s3.client().get_object(Bucket=s3_bucket, Key="a key/ü")["Body"].read() == b"bytes"
    stranger = S3Server(s3.endpoint_url, s3.access_key, "wrong")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.client().get_object(Bucket=s3_bucket, Key="a key/ü")


@pytest.mark.parametrize("kind", ["mongodb_server", "mongodb_tls"])
def test_mongodb_is_a_replica_set_that_wants_its_password(kind: str, request: pytest.FixtureRequest) -> None:
    server: MongoServer = request.getfixturevalue(kind)
    with server.client() as client:
        assert client.admin.command("hello")["setName"] == "rs0"
    with server.client(username="", password="") as stranger, pytest.raises(OperationFailure):
        stranger.list_database_names()


def test_redis_wants_its_password(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url(1)) as client:
        client.set("k", "v")
        assert client.get("k") == b"v"
    with (
        redis.Redis(redis_server.host, redis_server.port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_servers_of_a_killed_run_stop_by_themselves(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    program = "import os; from pathlib import Path; from tests.servers import keeper; "
    program += f"print(keeper.shared('postgres-18', Path({str(room)!r}), os.getpid()).pid, flush=True); "
    program += "import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        server = psutil.Process(int(run.stdout.readline()))
        its_keeper = psutil.Process(int((room / "postgres-18.pid").read_text()))
        assert server.ppid() == its_keeper.pid
        run.kill()
    _, alive = psutil.wait_procs([server, its_keeper], timeout=10)
    assert not alive
    assert not room.exists()


def test_a_server_dies_with_a_keeper_that_is_killed(tmp_path: Path) -> None:
    pid = keeper.shared("postgres-18", tmp_path, os.getpid()).pid
    server = psutil.Process(pid)
    psutil.Process(int((tmp_path / "postgres-18.pid").read_text())).kill()
    deadline = time.monotonic() + 10
    while server.is_running() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not server.is_running()
