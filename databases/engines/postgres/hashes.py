"""Hashes of rows, made by the server: the same rows give the same hash on every version, in whatever order they lie.

Of each row the columns in the order of their names (a restore may change their order), without generated ones (no dump
holds them), as text under `facts.SETTINGS`. The rows' hashes are added up and 16 bits of the sum are kept: enough to
see a change, too little to guess a row from, since manifests are not encrypted. See docs/adr/0012.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from databases.engines.postgres.session import Session

WINDOWS = 16
ROWS_EACH = 128

COLUMNS = """
SELECT asked.name,
  (SELECT array_agg(format('%%I', a.attname) ORDER BY a.attname) FROM pg_catalog.pg_attribute a
   WHERE a.attrelid = asked.name::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
  (SELECT format('%%I', a.attname) FROM pg_catalog.pg_index x JOIN pg_catalog.pg_attribute a
     ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
   WHERE x.indrelid = asked.name::regclass AND x.indisprimary AND x.indnkeyatts = 1
     AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype))
FROM unnest(%s::text[]) AS asked(name)
"""


@dataclass(frozen=True)
class Hashed:
    """A table as it is hashed: its columns, and its primary key where that is one integer (else no sample is taken)."""

    name: str
    columns: Sequence[str]
    key: str | None

    def whole(self) -> str:
        return f"SELECT {self._sum()} FROM ONLY {self.name} t"

    def sample(self, starts: Sequence[int]) -> str:
        """The first rows from each start on, in the order of the primary key: no index is read to its end."""
        return f"""SELECT {self._sum()} FROM unnest('{{{",".join(map(str, starts))}}}'::bigint[]) AS w(start)
            CROSS JOIN LATERAL (SELECT * FROM ONLY {self.name} r WHERE r.{self.key} >= w.start
                                ORDER BY r.{self.key} LIMIT {ROWS_EACH}) t"""

    def ends(self) -> str:
        return f"SELECT min({self.key}), max({self.key}) FROM ONLY {self.name}"

    def _sum(self) -> str:
        row = ", ".join(f"t.{column}" for column in self.columns)
        each = f'hashtextextended(ROW({row})::text COLLATE "C", 0) & 65535'
        return f"count(*), coalesce(sum({each}), 0)::bigint % 65536"


def hashed(session: Session, names: Sequence[str]) -> Mapping[str, Hashed]:
    rows = session.rows(COLUMNS, [list(names)])
    return {name: Hashed(name, columns or (), key) for name, columns, key in rows}


def again(table: Hashed, fact: Mapping[str, Any]) -> str:
    """The query that answers as it did for the manifest; for a sample without its primary key all rows are taken."""
    starts = fact["from"]
    return table.whole() if starts is None or table.key is None else table.sample(starts)


def starts_between(first: int, last: int) -> list[int]:
    return sorted({first + (last - first) * number // WINDOWS for number in range(WINDOWS)})


def fact(count: int, total: int, starts: Sequence[int] | None = None) -> dict[str, Any]:
    """As the manifest holds it; `from` are the sample's starts, None for all rows."""
    return {"rows": count, "hash": f"{total:04x}", "from": starts if starts is None else list(starts)}
