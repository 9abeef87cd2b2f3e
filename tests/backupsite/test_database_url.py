"""What DATABASE_URL becomes."""

from pathlib import Path

import psycopg2

from backupsite.database_url import database_settings
from tests.servers.postgres import PostgresServer


def test_a_vanished_server_is_noticed_before_a_lease_is_over(postgres18: PostgresServer, tmp_path: Path) -> None:
    place = f"{postgres18.user}:{postgres18.password}@{postgres18.host}:{postgres18.port}"
    options = database_settings(f"postgres://{place}/postgres?connect_timeout=3", tmp_path)["OPTIONS"]
    assert (int(options["connect_timeout"]), options["tcp_user_timeout"]) == (3, 30_000)
    psycopg2.connect(
        host=postgres18.host, port=postgres18.port, user=postgres18.user, password=postgres18.password, **options
    ).close()
