"""What a stop of the site does to a job that runs."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.live import busy, id_of, live
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.slow


def _seconds(job: dict[str, Any]) -> float:
    """From the request to the end."""
    begin, end = (datetime.fromisoformat(job[name]) for name in ("created_at", "finished_at"))
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
    shop = fresh_database(postgres18)
    postgres18.psql("CREATE TABLE item (id int)", shop)
    with live(tmp_path, postgres18, BACKUPSITE_LOCK_TIMEOUT="300") as site:
        site.add_database("shop", shop)
        took = [_seconds(site.until(site.back_up("shop"))) for _ in range(2)]
        assert min(took) < 1.5 * busy(), took
        with _locked(postgres18, shop):
            path = site.back_up("shop")
            site.until(path, "in_progress")
            site.stop()
        left = site.rows("SELECT status, error_code FROM backups_backup WHERE id = ?", id_of(path))
        assert left == [("scheduled", "worker_stopped")], site.log
