"""How often backups are marked that are as usual, and how many losses are found: `python -m benchmarks.anomalies`.

Simulated fleets, a backup a day: Databases that grow steadily or in bursts, that are loaded at weekends or at the
start of a month, queues that run empty, tables of every size. Somebody looks at each mark a day later and says that
it is right. The same numbers come out of every run.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import exp

from backups.anomalies import WINDOW, judge
from backups.anomaly_levels import Change, Key, Level, Measure

SIZE: Key = (Measure.SIZE, "")
TOTAL: Key = (Measure.TOTAL, "")
BYTES_A_ROW = 120
KINDS = ("steady", "growing", "bursts", "weekends", "months", "queues")


@dataclass
class Table:
    rows: float
    kind: str
    noise: float


@dataclass
class Database:
    """`history` is what somebody has seen or nobody had to look at; `marked` waits for somebody."""

    kind: str
    tables: list[Table]
    rng: random.Random
    history: list[Level] = field(default_factory=list)

    def next(self, day: int) -> dict[Key, int]:
        figures = {
            (Measure.ITEM, f"table_{chr(97 + at)}"): self._rows(table, day) for at, table in enumerate(self.tables)
        }
        total = sum(figures.values())
        return {**figures, TOTAL: total, SIZE: total * BYTES_A_ROW + 4096}

    def _rows(self, table: Table, day: int) -> int:
        chance = self.rng
        if table.kind == "queues":
            return max(0, int(chance.expovariate(1 / max(1.0, table.rows)) - table.rows / 10))
        if table.kind in ("growing", "bursts"):
            table.rows *= 1 + abs(chance.gauss(0.004, 0.002))
        if table.kind == "bursts" and chance.random() < 0.02:
            table.rows *= chance.uniform(1.05, 1.3)
        factor = 1.0
        if table.kind == "weekends" and day % 7 in (5, 6):
            factor = 0.3
        if table.kind == "months" and day % 30 == 0:
            factor = 2.5
        return int(table.rows * factor * exp(chance.gauss(0, table.noise)))


def fleet(count: int, rng: random.Random) -> list[Database]:
    made = []
    for at in range(count):
        kind = KINDS[at % len(KINDS)]
        tables = [Table(10 ** rng.uniform(2, 6), kind, rng.choice((0.0, 0.01, 0.05))) for _ in range(12)]
        if kind == "queues":
            tables = [Table(10 ** rng.uniform(4, 6), "growing", 0.01) for _ in range(9)] + tables[:3]
        made.append(Database(kind, tables, random.Random(rng.random())))
    return made


def history_of(database: Database) -> list[Level]:
    """As a site reads it: the newest, and before them what somebody said is right."""
    older = [level for level in database.history[:-WINDOW] if level.right]
    return [*older[-20:], *database.history[-WINDOW:]]


def run(database: Database, days: int, sensitivity: str) -> Iterator[int]:
    """The days on which it was told; marks of the same day count once."""
    for day in range(days):
        level = Level(database.next(day))
        found = judge(level, history_of(database), sensitivity=sensitivity)
        if found:
            yield day
        right: dict[Key, Change] = {(one.measure, one.name): one.change for one in found}
        database.history.append(Level(level.figures, right=right))


def lost(database: Database, share: float, rng: random.Random, sensitivity: str, days: int) -> bool:
    """Whether the loss of so much of one of the five largest tables is found."""
    figures = database.next(days)
    key = rng.choice(sorted((key for key in figures if key[0] == Measure.ITEM), key=lambda key: -figures[key])[:5])
    figures[key] = int(figures[key] * (1 - share))
    figures[TOTAL] = sum(value for name, value in figures.items() if name[0] == Measure.ITEM)
    figures[SIZE] = figures[TOTAL] * BYTES_A_ROW + 4096
    return bool(judge(Level(figures), history_of(database), sensitivity=sensitivity))


def measure(
    sensitivity: str, *, count: int, days: int, shares: Sequence[float]
) -> tuple[dict[str, float], list[float]]:
    """Marks in a hundred backups by kind of Database, and the share of losses that are found."""
    rng = random.Random(20261121)
    databases = fleet(count, rng)
    told = dict.fromkeys(KINDS, 0)
    for database in databases:
        told[database.kind] += sum(1 for _ in run(database, days, sensitivity))
    each = {kind: sum(database.kind == kind for database in databases) * days for kind in KINDS}
    rates = {kind: 100 * told[kind] / each[kind] for kind in KINDS}
    rates["all"] = 100 * sum(told.values()) / (count * days)
    found = [sum(lost(one, share, rng, sensitivity, days) for one in databases) / count for share in shares]
    return rates, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", type=int, default=120)
    parser.add_argument("--days", type=int, default=180)
    asked = parser.parse_args()
    shares = (1.0, 0.9, 0.5)
    print(
        "| sensitivity | all | "
        + " | ".join(KINDS)
        + " | "
        + " | ".join(f"{share:.0%} lost" for share in shares)
        + " |"
    )
    print("|" + "---|" * (2 + len(KINDS) + len(shares)))
    for sensitivity in ("low", "normal", "high"):
        rates, found = measure(sensitivity, count=asked.databases, days=asked.days, shares=shares)
        cells = [sensitivity, f"{rates['all']:.2f} %", *(f"{rates[kind]:.2f} %" for kind in KINDS)]
        print("| " + " | ".join([*cells, *(f"{one:.0%}" for one in found)]) + " |", flush=True)


if __name__ == "__main__":
    main()
