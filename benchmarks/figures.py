"""Medians, ratios and targets."""

from dataclasses import dataclass, field
from statistics import median

SECONDS = dict[str, list[float]]


@dataclass(frozen=True)
class Target:
    """Met when `value` is at most `limit`; both are in `unit` (`x` is a ratio)."""

    what: str
    value: float
    limit: float
    unit: str

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    @property
    def measured(self) -> str:
        return f"{self.value:.{0 if self.unit in ('MB', 'ms', 'queries') else 2}f} {self.unit}"


@dataclass
class Figures:
    """Everything measured. Keys of `seconds`, `sizes` and `peaks` are the contestants' names."""

    database_size: int = 0
    original_size: int = 0
    seconds: SECONDS = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    idle_worker: int = 0
    tiny: list[float] = field(default_factory=list)
    pages: dict[str, "Page"] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)

    def ratio(self, name: str, floor: str) -> float:
        return median(self.seconds[name]) / median(self.seconds[floor])


@dataclass(frozen=True)
class Page:
    """A list page over 10,000 backups: response times, and its number of queries then and with 60 backups."""

    seconds: list[float]
    queries: int
    queries_when_few: int


def targets(figures: Figures) -> list[Target]:
    def ratio(what: str, name: str, floor: str, limit: float) -> Target:
        return Target(what, figures.ratio(name, floor), limit, "x")

    found = [
        ratio("stored, zstd, against the floor", "zstd: stored", "floor zstd", 1.05),
        ratio("stored, zstd and age, against the floor", "age: stored", "floor zstd", 1.10),
        ratio("completed, zstd, against the floor", "zstd: completed", "floor zstd", 1.15),
        ratio("completed, zstd and age, against the floor", "age: completed", "floor zstd", 1.15),
        ratio("completed, zstd, against django-dbbackup", "zstd: completed", "django-dbbackup", 0.30),
        ratio("restore against zstd and pg_restore", "restore: ours", "restore: floor", 1.10),
    ]
    for name in ("zstd", "age", "gzip", "restore: ours"):
        above = max(0, figures.peaks[name] - figures.idle_worker) / 1e6
        found.append(Target(f"peak memory above an idle worker, {name}", above, 150, "MB"))
    off = abs(figures.sizes["zstd"] / figures.sizes["floor zstd"] - 1) * 100
    found.append(Target("stored size off the floor's, zstd", off, 3, "%"))
    found.append(Target("tiny database, POST to completed, slowest", max(figures.tiny), 1.5, "s"))
    for name, page in figures.pages.items():
        found.append(Target(f"{name} with 10,000 backups", median(page.seconds) * 1000, 150, "ms"))
        more = page.queries - page.queries_when_few
        found.append(Target(f"{name}: more queries than with 60 backups", more, 0, "queries"))
    return found
