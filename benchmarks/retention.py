"""`python -m benchmarks.retention`: retention and a sweeper's round with 2,000 Databases and 200,000 backups.

On SQLite and on PostgreSQL 18, with real artefacts on disk for those that go. Writes its section of docs/benchmarks.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.section import RETENTION, put_section
from demo.site import REPOSITORY
from tests.servers.postgres import start_postgres

TARGETS = {"decide": 60.0, "prune": 60.0, "quick": 2.0, "slow": 2.0}
WORDS = {
    "decide": "`prune --dry-run` of all: decide and explain 200,000 backups",
    "prune": "`prune` of all: the same, 2,000 backups marked, their 4,000 objects removed",
    "quick": "a sweeper's round, quick steps, nothing due",
    "slow": "a sweeper's round, slow steps, all Databases due for retention (a slice now, the rest next)",
    "idle": "a sweeper's round, slow steps, nothing due",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention", description=__doc__)
    parser.add_argument("--databases", type=int, default=2000)
    parser.add_argument("--backups", type=int, default=100, help="of each Database")
    arguments = parser.parse_args()
    counts = [str(arguments.databases), str(arguments.backups)]
    with tempfile.TemporaryDirectory() as folder:
        sqlite = measure_inside(Path(folder) / "sqlite", counts, url="")
        with start_postgres(18, Path(folder) / "server") as server:
            server.create_database("site")
            postgres = measure_inside(Path(folder) / "postgres", counts, url=server.dsn("site"))
    text = _section(sqlite, postgres)
    print(text)
    if counts == ["2000", "100"]:
        put_section(text, title=RETENTION)
    return 0


def measure_inside(
    data: Path, counts: list[str], *, url: str, module: str = "benchmarks.retention_inside"
) -> dict[str, float]:
    """What the module prints, run with the settings of a new site in `data`."""
    data.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", module, *counts],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "BACKUPSITE_DATA_DIR": str(data), **({"DATABASE_URL": url} if url else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module}: {done.stderr.strip()[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _section(sqlite: dict[str, Any], postgres: dict[str, Any]) -> str:
    rows = ["| what | SQLite | PostgreSQL | at most | |", "|---|---|---|---|---|"]
    for name, words in WORDS.items():
        worst, most = max(sqlite[name], postgres[name]), TARGETS.get(name)
        verdict = "" if most is None else "met" if worst <= most else "missed"
        limit = "" if most is None else f"{most:.0f} s"
        rows.append(f"| {words} | {sqlite[name]:.2f} s | {postgres[name]:.2f} s | {limit} | {verdict} |")
    about = (
        "`python -m benchmarks.retention`: 2,000 Databases with a daily schedule, 100 backups of each (two failed), "
        "one of each past `max_backups`, all on one local destination with two objects for each that goes."
    )
    return "\n".join([about, "", *rows, ""])


if __name__ == "__main__":
    sys.exit(main())
