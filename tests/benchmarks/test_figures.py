"""The bench's verdicts: a missed target is called missed."""

import pytest

from benchmarks.figures import Figures, Page, targets
from benchmarks.report import page, summary
from demo.site import REPOSITORY


@pytest.fixture
def figures() -> Figures:
    """Every target met, none of them by much more than the rounding."""
    seconds = {
        "floor zstd": [10.0, 11.0, 30.0],
        "floor gzip": [40.0],
        "django-dbbackup": [50.0],
        "restore: floor": [20.0],
        "restore: ours": [21.0],
    }
    for name, stored, completed in (("zstd", 11.0, 12.0), ("age", 12.0, 12.5), ("gzip", 14.0, 15.0)):
        seconds |= {f"{name}: started": [0.1], f"{name}: stored": [stored], f"{name}: completed": [completed]}
    return Figures(
        database_size=1_000_000_000,
        original_size=700_000_000,
        seconds=seconds,
        sizes={"zstd": 101, "floor zstd": 100, "floor gzip": 110, "django-dbbackup": 110, "age": 102, "gzip": 120},
        peaks=dict.fromkeys(("zstd", "age", "gzip", "restore: ours", "restore: floor", "floor zstd"), 250000000),
        idle_worker=130_000_000,
        tiny=[0.4, 0.9],
        pages={"API list": Page([0.05, 0.06], 5, 5)},
    )


def missed(figures: Figures) -> list[str]:
    return [target.what for target in targets(figures) if not target.met]


def test_all_targets_met(figures: Figures) -> None:
    assert missed(figures) == []


def test_medians_are_compared_so_one_slow_run_of_the_floor_gains_nothing(figures: Figures) -> None:
    figures.seconds["zstd: stored"] = [11.6]
    assert missed(figures) == ["stored, zstd, against the floor"]


@pytest.mark.parametrize(("name", "what"), [("zstd", "zstd"), ("restore: ours", "restore: ours")])
def test_memory_counts_above_the_idle_worker(figures: Figures, name: str, what: str) -> None:
    figures.peaks[name] = 281_000_000
    assert missed(figures) == [f"peak memory above an idle worker, {what}"]


def test_a_smaller_artefact_than_the_floors_is_off_as_well(figures: Figures) -> None:
    figures.sizes["zstd"] = 96
    assert missed(figures) == ["stored size off the floor's, zstd"]


def test_the_slowest_tiny_run_counts(figures: Figures) -> None:
    figures.tiny.append(1.6)
    assert missed(figures) == ["tiny database, POST to completed, slowest"]


def test_one_query_more_with_more_rows_is_too_many(figures: Figures) -> None:
    figures.pages["API list"] = Page([0.05], 6, 5)
    assert missed(figures) == ["API list: more queries than with 60 backups"]


def test_the_page_and_the_summary_say_what_was_missed(figures: Figures) -> None:
    figures.seconds["age: stored"] = [20.0]
    text = page(figures, rounds=5, command="make bench", folder=REPOSITORY)
    assert "| stored, zstd and age, against the floor | 1.82 x | 1.1 x | **missed** |" in text
    assert "MISSED  stored, zstd and age, against the floor: 1.82 x (target: at most 1.1 x)" in summary(figures)
