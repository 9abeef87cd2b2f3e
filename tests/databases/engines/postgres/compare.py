"""Are two databases equal? Schema by `pg_dump -s`, tables by count and hash of their rows, large objects by content."""

import re
import subprocess

from tests.servers.fetch import postgres_bin
from tests.servers.postgres import PostgresServer

TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1
"""
ROWS = "SELECT count(*), md5(coalesce(string_agg(md5(t::text), '' ORDER BY md5(t::text)), '')) FROM ONLY {} t"
LARGE_OBJECTS = "SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY 1"


def schema_of(server: PostgresServer, database: str) -> str:
    """By the newest client, so that servers of different versions compare; without what names version or key."""
    command = [str(postgres_bin(18) / "pg_dump"), "--schema-only", "--no-statistics", database]
    done = subprocess.run(command, env=server.environment(), capture_output=True, text=True, check=True)
    return re.sub(r"^(--.*|\\(un)?restrict .*|)\n", "", done.stdout, flags=re.MULTILINE)


def content_of(server: PostgresServer, database: str) -> dict[str, str]:
    names = server.psql(TABLES, database).splitlines()
    content = {name: server.psql(ROWS.format(name), database) for name in names}
    content["large objects"] = server.psql(LARGE_OBJECTS, database)
    content["sequences"] = server.psql(
        "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2", database
    )
    return content
