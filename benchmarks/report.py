"""What was measured, as a page: docs/benchmarks.md."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.figures import Figures, Target, targets
from benchmarks.world import POSTGRES

MB = 1_000_000
ROWS = {
    "floor zstd": "`pg_dump -Fc -Z0 \\| zstd -T2 -3 > file` (the floor)",
    "zstd: stored": "Backupsite, zstd: until stored (fsync included)",
    "zstd: completed": "Backupsite, zstd: until completed (read back as well)",
    "age: stored": "Backupsite, zstd and age: until stored",
    "age: completed": "Backupsite, zstd and age: until completed",
    "floor gzip": "`pg_dump -Fc -Z6 > file`",
    "gzip: stored": "Backupsite, gzip: until stored",
    "gzip: completed": "Backupsite, gzip: until completed",
    "django-dbbackup": "django-dbbackup, its default",
    "restore: floor": "`zstd -dc \\| pg_restore`",
    "restore: ours": "Backupsite restore, until completed (digests and row counts compared as well)",
}


PAGE = """# Benchmarks

Measured on {date} by `{command}`: {rounds} rounds, everybody in turn, after one to warm up.

{machine}

The site ran on the embedded default with 10,000 earlier backups in its table.
Our times begin with the POST and so include the way through the queue to the worker; the others begin with their own
process. All write to the same disk and read the same database on the same server, which runs with `fsync` on
and autovacuum off. Only Backupsite syncs what it wrote to the disk, reads it back and compares.

## Targets

{targets}

## Times

{times}

## Size and memory

{sizes}

Memory is the peak of the proportional set size (PSS) of the whole process tree, sampled every 50 ms in a round of its
own, without the server. For Backupsite it is the worker's tree, with what it takes when idle.

## A tiny database, and long lists

{small}
"""


def page(figures: Figures, *, rounds: int, command: str, folder: Path) -> str:
    """The whole page in Markdown."""
    return PAGE.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        command=command,
        rounds=rounds,
        machine="\n".join(_machine(figures, folder)),
        targets="\n".join(_targets(targets(figures))),
        times="\n".join(_times(figures)),
        sizes="\n".join(_sizes(figures)),
        small="\n".join(_small(figures)),
    )


def summary(figures: Figures) -> str:
    """The verdicts, for the terminal."""
    lines = [f"{'met   ' if target.met else 'MISSED'}  {target.what}: {_amount(target)}" for target in targets(figures)]
    return "\n".join(lines)


def _amount(target: Target) -> str:
    return f"{target.measured} (target: at most {target.limit:g} {target.unit})"


def _machine(figures: Figures, folder: Path) -> list[str]:
    cpu = next((line.split(":")[1].strip() for line in _read("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory = int(_read("/proc/meminfo")[0].split()[1]) * 1024
    system = next((line.split("=")[1].strip('"') for line in _read("/etc/os-release") if line.startswith("PRETTY")), "")
    mount = subprocess.run(
        ["df", "--output=fstype", str(folder)], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    machine = f"{os.cpu_count()} cores of {cpu}, {memory / 1e9:.0f} GB of memory, disk with {mount}"
    plain = f"its plain dump is {figures.original_size / MB:,.0f} MB"
    return [
        f"- Machine: {machine}; {system}, Linux {platform.release().split('-')[0]}",
        f"- Python {platform.python_version()}, PostgreSQL {POSTGRES} (server and clients)",
        f"- Database: {figures.database_size / MB:,.0f} MB, the demo's shop; {plain}",
    ]


def _read(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _targets(found: list[Target]) -> list[str]:
    rows = [
        f"| {one.what} | {one.measured} | {one.limit:g} {one.unit} | {'met' if one.met else '**missed**'} |"
        for one in found
    ]
    return ["| what | measured | at most | |", "|---|---|---|---|", *rows]


def _times(figures: Figures) -> list[str]:
    lines = ["| what | median s | fastest to slowest | against the floor |", "|---|---|---|---|"]
    for name, title in ROWS.items():
        seconds = figures.seconds[name]
        floor = "restore: floor" if name.startswith("restore") else "floor zstd"
        spread = f"{median(seconds):.2f} | {min(seconds):.2f} to {max(seconds):.2f}"
        lines.append(f"| {title} | {spread} | {figures.ratio(name, floor):.2f} x |")
    waits = [median(figures.seconds[f"{name}: started"]) for name in ("zstd", "age", "gzip")]
    return [*lines, "", f"From the POST until a worker had claimed the run: {median(waits):.2f} s (median)."]


def _sizes(figures: Figures) -> list[str]:
    lines = ["| what | stored MB | peak memory MB |", "|---|---|---|"]
    for name, peak in figures.peaks.items():
        size = figures.sizes.get(name)
        lines.append(f"| {name} | {'' if size is None else f'{size / MB:.1f}'} | {peak / MB:.0f} |")
    return [*lines, f"| the idle worker | | {figures.idle_worker / MB:.0f} |"]


def _small(figures: Figures) -> list[str]:
    times = f"{median(figures.tiny):.2f} s from the POST to completed"
    spread = f"median of {len(figures.tiny)}, slowest {max(figures.tiny):.2f} s"
    lines = [
        f"A database of one table and 10 rows: {times} ({spread}), on the embedded default.",
        "",
        "| page, 10,000 backups in the table | median ms | slowest ms | queries | with 60 backups |",
        "|---|---|---|---|---|",
    ]
    for name, one in figures.pages.items():
        times = f"{median(one.seconds) * 1000:.0f} | {max(one.seconds) * 1000:.0f}"
        lines.append(f"| {name} | {times} | {one.queries} | {one.queries_when_few} |")
    return lines
