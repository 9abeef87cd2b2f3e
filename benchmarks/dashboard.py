"""`python -m benchmarks.dashboard [--data FOLDER]`: the first page with 2,000 Databases and 200,000 backups, on SQLite.

Writes its section of docs/benchmarks.md. A folder that is given is filled once and kept, so that it can be measured
again.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.retention import measure_inside
from benchmarks.section import DASHBOARD, put_section

LIMIT_S, QUERIES = 0.15, 12
WORDS = {
    "page": "the first page, CPU time of the fastest of 100",
    "median": "the first page, CPU time, median of 100",
    "poll": "what is polled while something runs",
    "list": "the list behind a figure: Databases that are not protected",
    "count": "counting what lies at the destinations, once a minute, by the sweeper",
    "calibration": "for comparison: one million additions in a loop of Python, meanwhile",
}
LIMITED = {"page": LIMIT_S}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--databases", type=int, default=2000)
    parser.add_argument("--backups", type=int, default=100, help="of each Database, and slots")
    parser.add_argument("--data", type=Path, help="a data folder to fill once and to keep")
    arguments = parser.parse_args()
    counts = [str(arguments.databases), str(arguments.backups)]
    with tempfile.TemporaryDirectory() as folder:
        found = measure_inside(
            arguments.data or Path(folder) / "sqlite", counts, url="", module="benchmarks.dashboard_inside"
        )
    text = _section(found)
    print(text)
    if counts == ["2000", "100"]:
        put_section(text, title=DASHBOARD)
    return 0


def _section(found: dict[str, float]) -> str:
    rows = ["| what | measured | at most | |", "|---|---|---|---|"]
    for name, words in WORDS.items():
        limit = LIMITED.get(name)
        verdict = " | " if limit is None else f"{limit * 1000:.0f} ms | {'met' if found[name] <= limit else 'missed'}"
        rows.append(f"| {words} | {found[name] * 1000:.0f} ms | {verdict} |")
    met = "met" if found["queries"] <= QUERIES else "missed"
    rows.append(f"| its queries | {found['queries']:.0f} | {QUERIES} | {met} |")
    about = (
        "`python -m benchmarks.dashboard`: a site with as many rows as those above, on SQLite, asked by an admin "
        "through Django's test client: middleware, queries and templates included, the network not."
    )
    return "\n".join([about, "", *rows, ""])


if __name__ == "__main__":
    sys.exit(main())
