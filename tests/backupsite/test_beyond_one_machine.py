"""People in PostgreSQL as the site's database, and what a stop does to a job."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import psutil
import psycopg2
import pytest

from tests.backupsite.site import manage, serving, until
from tests.live import busy
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.slow

ADD = """
from backups.models import Backup
from databases.models import Database
from databases.services.save import save_database
save_database(database=Database(), create=True, values=dict(
    id="shop", name="shop", engine="postgres", host="{server.host}", port={server.port}, username="{server.user}",
    password="{server.password}", database_name="{name}"))
"""


def register(server: PostgresServer, name: str, data: Path, values: dict[str, str]) -> None:
    done = manage("shell", "-v", "0", "-c", ADD.format(server=server, name=name), data_dir=data, **values)
    assert done.returncode == 0, done.stderr


def backups(data: Path, values: dict[str, str]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(manage("backups", "--json", data_dir=data, **values).stdout)
    return rows


PEOPLE = """
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from backupsite.users import save_user
person = dict(first_name="", last_name="", email="", is_active=True, password="a long enough phrase")
ada = save_user(user=User(), values=dict(person, username="ada", role="admin"))
bob = save_user(user=User(), values=dict(person, username="bob", role="viewer"))
try:
    save_user(user=ada, values=dict(person, username="ada", role="viewer"))
except ValidationError as fault:
    print(fault.message_dict["role"][0])
"""


def test_people_are_kept_in_postgresql(
    tmp_path: Path, postgres18: PostgresServer, fresh_database: Callable[[PostgresServer], str]
) -> None:
    address = f"{postgres18.user}:{postgres18.password}@{postgres18.host}:{postgres18.port}"
    url = f"postgres://{address}/{fresh_database(postgres18)}"
    for command in (["migrate", "-v", "0"], ["shell", "-v", "0", "-c", PEOPLE]):
        done = manage(*command, data_dir=tmp_path, DATABASE_URL=url)
        assert done.returncode == 0, done.stderr
    assert "only active admin" in done.stdout


def _seconds(row: dict[str, object]) -> float:
    """From the request to the end."""
    begin, end = (datetime.fromisoformat(str(row[name])) for name in ("created_at", "finished_at"))
    return (end - begin).total_seconds()


@contextmanager
def _locked(server: PostgresServer, dbname: str) -> Iterator[None]:
    """A session that keeps pg_dump waiting."""
    with closing(psycopg2.connect(server.dsn(dbname))) as session, session.cursor() as cursor:
        cursor.execute("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        yield


def test_a_tiny_backup_completes_at_once_and_one_that_runs_when_the_site_stops_comes_back(
    tmp_path: Path, postgres18: PostgresServer, fresh_database: Callable[[PostgresServer], str]
) -> None:
    shop, data = fresh_database(postgres18), tmp_path / "data"
    postgres18.psql("CREATE TABLE item (id int)", shop)
    values = {"BACKUPSITE_PG_BIN_DIRS": str(postgres18.bin_dir), "BACKUPSITE_LOCK_TIMEOUT": "300"}
    with serving(data, **values) as site:
        site.ready()
        until(lambda: site.get("/readyz")[0] == 200, what="readyz")
        register(postgres18, shop, data, values)
        for _ in range(2):
            assert manage("backup", "shop", data_dir=data, **values).returncode == 0
        took = [_seconds(row) for row in backups(data, values)]
        assert min(took) < 1.5 * busy(), took
        with _locked(postgres18, shop):
            manage("backup", "shop", "--no-wait", data_dir=data, **values)
            until(lambda: backups(data, values)[0]["status"] == "in_progress", what=f"the job to run {site.log}")
            tree = site.tree()
            assert site.stop() == 0
            assert not psutil.wait_procs(tree, timeout=5 * busy())[1]
        row = backups(data, values)[0]
        assert row["status"] == "scheduled", site.log
        assert row["error"]["code"] == "worker_stopped"  # type: ignore[index]
