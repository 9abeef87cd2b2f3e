"""`python -m benchmarks.scale`: the sweeper's quick round and beat with 2,000 scheduled Databases and 200,000 backups.

On SQLite and on PostgreSQL 18. Writes its section of docs/benchmarks.md.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.retention import measure_inside
from benchmarks.section import SCALE, put_section
from tests.servers.postgres import start_postgres

ROUND_S, GROWTH = 2.0, 10 << 20
WORDS = {
    "quiet": "a quick round, nothing due",
    "due": "the longest quick round while all Databases are due at the same minute",
    "waiting": "a quick round while a backup of each of them waits",
    "overdue": "the longest quick round while all Databases become overdue at once",
    "all_due": "until all have their slot and their backup waits, rounds back to back",
    "all_overdue": "until all are told of, rounds back to back",
    "rows": "making beat's rows for all",
}
LIMITED = ("quiet", "due", "waiting", "overdue")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--databases", type=int, default=2000)
    parser.add_argument("--backups", type=int, default=100, help="of each Database, and slots")
    arguments = parser.parse_args()
    counts, module = [str(arguments.databases), str(arguments.backups)], "benchmarks.scale_inside"
    with tempfile.TemporaryDirectory() as folder:
        sqlite = measure_inside(Path(folder) / "sqlite", counts, url="", module=module)
        with start_postgres(18, Path(folder) / "server") as server:
            server.create_database("site")
            postgres = measure_inside(Path(folder) / "postgres", counts, url=server.dsn("site"), module=module)
    text = _section(sqlite, postgres)
    print(text)
    if counts == ["2000", "100"]:
        put_section(text, title=SCALE)
    return 0


def _section(sqlite: dict[str, float], postgres: dict[str, float]) -> str:
    rows = ["| what | SQLite | PostgreSQL | at most | |", "|---|---|---|---|---|"]
    for name, words in WORDS.items():
        figures = f"{sqlite[name]:.2f} s | {postgres[name]:.2f} s"
        rows.append(f"| {words} | {figures} | {_verdict(name, max(sqlite[name], postgres[name]))} |")
    rows.append(f"| queries of a quick round, nothing due | {sqlite['queries']:.0f} | {postgres['queries']:.0f} | | |")
    grown = max(sqlite["beat_growth"], postgres["beat_growth"])
    shown = " | ".join(f"{found['beat_growth'] / (1 << 20):.1f} MiB" for found in (sqlite, postgres))
    verdict = "met" if grown < GROWTH else "missed"
    rows.append(
        f"| what beat's memory grows by in 200 ticks, 20 of which read all rows again | {shown} | 10 MiB | {verdict} |"
    )
    about = (
        "`python -m benchmarks.scale`: 2,000 Databases with a daily schedule, 100 backups and 100 slots of each. "
        "Quick rounds end lost jobs, record due times, look for what is overdue and ring the workers."
    )
    return "\n".join([about, "", *rows, ""])


def _verdict(name: str, worst: float) -> str:
    if name not in LIMITED:
        return " | "
    return f"{ROUND_S:.0f} s | {'met' if worst <= ROUND_S else 'missed'}"


if __name__ == "__main__":
    sys.exit(main())
