"""What is unlike the others is found, what is usual is left alone: sizes, tables, seasons, growth."""

import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backups.anomalies import BOUNDS, FEWEST, WINDOW, Finding, judge
from backups.anomaly_levels import Change, Key, Level, Measure, figures_of

SIZE: Key = (Measure.SIZE, "")
SENSITIVITIES = st.sampled_from(sorted(BOUNDS))
unhurried = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
SIZES = st.integers(min_value=10_000_000, max_value=10**13)


def table(name: str) -> Key:
    return Measure.ITEM, name


def level(figures: Mapping[Key, int], **right: Change) -> Level:
    return Level(figures, right={SIZE if name == "size" else table(name): change for name, change in right.items()})


def sizes(values: Sequence[int]) -> list[Level]:
    return [level({SIZE: value}) for value in values]


def rows(values: Sequence[int], name: str = "orders") -> list[Level]:
    return [level({table(name): value}) for value in values]


def found(present: Level, history: Sequence[Level], sensitivity: str = "normal") -> dict[str, Change]:
    return {one.name or one.measure.value: one.change for one in judge(present, history, sensitivity=sensitivity)}


def test_a_fall_says_what_is_usual_and_what_was_before() -> None:
    history = sizes([10_000_000, 10_200_000, 9_900_000, 10_100_000, 10_000_000, 10_050_000])
    [finding] = judge(level({SIZE: 1_000_000}), history, sensitivity="normal")
    assert finding == Finding(
        Measure.SIZE, "", Change.FALL, found=1_000_000, previous=10_050_000, low=finding.low, high=finding.high
    )
    assert 6_000_000 < finding.low < 9_000_000 < 11_000_000 < finding.high < 16_000_000


def test_a_jump_is_told_too() -> None:
    assert found(level({SIZE: 90_000_000}), sizes([10_000_000] * 8)) == {"size": Change.JUMP}


@unhurried
@given(SIZES, st.lists(st.floats(0.97, 1.03), min_size=FEWEST, max_size=WINDOW), SENSITIVITIES)
def test_a_tenth_of_a_steady_history_is_always_found(size: int, noise: Sequence[float], sensitivity: str) -> None:
    history = sizes([int(size * one) for one in noise])
    assert found(level({SIZE: size // 10}), history, sensitivity) == {"size": Change.FALL}


@unhurried
@given(st.lists(st.integers(1, 10**9), min_size=FEWEST, max_size=WINDOW), SENSITIVITIES)
def test_an_emptied_table_is_always_found_after_a_history_of_rows(values: Sequence[int], sensitivity: str) -> None:
    assert found(level({table("orders"): 0}), rows(values), sensitivity) == {"orders": Change.EMPTIED}


@unhurried
@given(st.lists(st.integers(1, 10**9), min_size=FEWEST, max_size=WINDOW), SENSITIVITIES)
def test_a_table_that_is_gone_is_found_and_one_that_was_not_counted_is_not(
    values: Sequence[int], sensitivity: str
) -> None:
    history = rows(values)
    assert found(Level({}), history, sensitivity) == {"orders": Change.GONE}
    assert found(Level({}, unknown=frozenset({"orders"})), history, sensitivity) == {}


@unhurried
@given(st.lists(st.integers(0, 10**9), max_size=FEWEST - 1), st.integers(0, 10**9), SENSITIVITIES)
def test_nothing_is_found_before_there_is_a_history(values: Sequence[int], now: int, sensitivity: str) -> None:
    assert found(level({table("orders"): now, SIZE: now}), rows(values), sensitivity) == {}


@unhurried
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=WINDOW), SENSITIVITIES)
def test_what_is_as_it_was_the_last_time_is_never_found(values: Sequence[int], sensitivity: str) -> None:
    history = [level({SIZE: value, table("orders"): value}) for value in values]
    assert found(history[-1], history, sensitivity) == {}


@unhurried
@given(st.integers(100, 10**9), st.floats(0.0, 0.15), st.integers(FEWEST, WINDOW), SENSITIVITIES)
def test_growth_of_the_usual_pace_is_never_found(start: int, pace: float, count: int, sensitivity: str) -> None:
    values = [int(start * (1 + pace) ** at) for at in range(count + 1)]
    assert found(level({SIZE: values[-1]}), sizes(values[:-1]), sensitivity) == {}


@unhurried
@given(st.lists(st.integers(0, 10**7), min_size=FEWEST, max_size=WINDOW), st.integers(0, 10**8), st.booleans())
def test_a_higher_sensitivity_finds_all_that_a_lower_one_finds(values: Sequence[int], now: int, part: bool) -> None:
    history, present = rows(values), level({table("orders"): now})
    low, normal, high = (
        {one.name for one in judge(present, history, sensitivity=name, part=part)} for name in ("low", "normal", "high")
    )
    assert low <= normal <= high
    assert judge(present, history, sensitivity="off") == []


@unhurried
@given(st.lists(st.integers(1, 10**6), min_size=FEWEST, max_size=WINDOW), st.integers(0, 10**7), SENSITIVITIES)
def test_a_level_that_somebody_said_is_right_is_not_found_again(
    values: Sequence[int], now: int, sensitivity: str
) -> None:
    history = rows(values)
    for finding in judge(level({table("orders"): now}), history, sensitivity=sensitivity):
        said = level({table("orders"): now}, orders=finding.change)
        assert found(level({table("orders"): now}), [*history, said], sensitivity) == {}
        later = [*history, said, *history[-3:]]  # it went back meanwhile
        assert found(level({table("orders"): now}), later, sensitivity) == {}


@unhurried
@given(st.permutations([f"t{letter}" for letter in "abcdefgh"]))
def test_the_order_of_tables_changes_nothing(names: Sequence[str]) -> None:
    history = [Level({table(name): 5000 for name in names})] * FEWEST
    present = Level({table(name): (0 if name in ("tb", "tf") else 5000) for name in names})
    assert [one.name for one in judge(present, history, sensitivity="normal")] == ["tb", "tf"]


def test_a_fall_to_a_level_that_growth_passed_once_is_found() -> None:
    values = [int(1_000_000 * 1.1**at) for at in range(WINDOW)]
    assert found(level({SIZE: values[5]}), sizes(values)) == {"size": Change.FALL}


def test_a_jump_that_was_right_does_not_hide_a_fall_back() -> None:
    """It was right that it grew from a level, not that it comes back to it."""
    grown = [1_000_000] * 6 + [5_000_000] * 12
    history = [level({SIZE: value}, **({"size": Change.JUMP} if at == 6 else {})) for at, value in enumerate(grown)]
    assert found(level({SIZE: 1_000_000}), history) == {"size": Change.FALL}


def test_after_a_fall_that_was_right_the_new_level_is_usual_and_may_grow() -> None:
    history = [*sizes([90_000_000] * 20), level({SIZE: 5_000_000}, size=Change.FALL)]
    for at in range(25):
        now = level({SIZE: int(5_000_000 * 1.03**at)})
        assert found(now, history[-WINDOW:]) == {}, at
        history.append(now)


def test_weekends_are_learned_after_the_first_ones() -> None:
    noise = random.Random(1)
    history: list[Level] = []
    marked = []
    for day in range(70):
        usual = 2_000_000 if day % 7 in (5, 6) else 40_000_000
        now = level({SIZE: int(usual * noise.uniform(0.95, 1.05))})
        if findings := judge(now, history[-WINDOW:], sensitivity="normal"):
            marked.append(day)
            now = level(now.figures, size=findings[0].change)  # somebody said that it is right
        history.append(now)
    assert marked == [5]


def test_what_is_restless_has_a_wide_band() -> None:
    noise = random.Random(2)
    restless = [int(10_000 * noise.lognormvariate(0, 0.6)) for _ in range(WINDOW)]
    assert found(level({table("orders"): 2_500}), rows(restless)) == {}
    assert found(level({table("orders"): 2_500}), rows([10_000] * WINDOW)) == {"orders": Change.FALL}


def test_small_numbers_may_dance() -> None:
    history = rows([12] * 10)
    assert found(level({table("orders"): 3}), history) == {}
    assert found(level({table("orders"): 30}), history) == {}
    assert found(level({table("orders"): 0}), history) == {"orders": Change.EMPTIED}


def test_a_table_that_begins_empty_is_no_emptied_one_and_one_that_is_emptied_often_neither() -> None:
    assert found(level({table("orders"): 0}), rows([0] * 9)) == {}
    assert found(level({table("orders"): 0}), rows([0] * 20 + [900] * 9)) == {"orders": Change.EMPTIED}
    assert found(level({table("queue"): 0}), rows([40, 0, 12, 90, 0, 33], "queue")) == {}
    assert found(level({table("orders"): 90_000}), rows([0] * 9)) == {}


def test_a_new_table_is_not_judged() -> None:
    history = [level({table("orders"): 100})] * 6
    assert found(level({table("orders"): 100, table("new"): 10**6}), history) == {}


def test_partitions_that_come_and_go_are_one() -> None:
    def days(first: int) -> Level:
        return level({table(f"events_{day}"): 1000 for day in range(first, first + 7)})

    history = [days(at) for at in range(10)]
    assert found(days(10), history) == {}
    emptied = level(dict.fromkeys(days(10).figures, 0))
    assert found(emptied, history) == {"events_#": Change.EMPTIED}
    fixed = [level({table("part_1"): 900, table("part_2"): 900})] * 6
    assert found(level({table("part_1"): 900}), fixed) == {"part_2": Change.GONE}


def test_an_incremental_may_be_empty_but_not_suddenly_large() -> None:
    def part(figures: Mapping[Key, int], history: Sequence[Level]) -> list[tuple[Measure, Change]]:
        return [(one.measure, one.change) for one in judge(Level(figures), history, sensitivity="normal", part=True)]

    state, deleted = (Measure.STATE, ""), (Measure.DELETED, "")
    history = [Level({SIZE: 900_000, state: 5000, deleted: 3})] * 8
    assert part({SIZE: 0, state: 5000, deleted: 0}, history) == []
    assert part({SIZE: 90_000_000, state: 5000, deleted: 0}, history) == [(Measure.SIZE, Change.JUMP)]
    assert part({SIZE: 900_000, state: 100, deleted: 4900}, history) == [
        (Measure.DELETED, Change.JUMP),
        (Measure.STATE, Change.FALL),
    ]


@pytest.mark.parametrize("counts", [None, {}, [], "x"])
def test_what_a_manifest_does_not_count_is_not_compared(counts: object) -> None:
    figures, unknown = figures_of(size=5, stored=None, engine={"counts": counts}, part=False)
    assert (figures, unknown) == ({SIZE: 5}, frozenset())


def test_figures_are_taken_out_of_a_manifest() -> None:
    engine = {"counts": {"a": 1, "b": 2}, "deleted": 4, "state_objects": 9}
    figures, _ = figures_of(size=5, stored=3, engine=engine, part=False)
    assert figures == {
        SIZE: 5,
        (Measure.STORED, ""): 3,
        (Measure.TOTAL, ""): 3,
        table("a"): 1,
        table("b"): 2,
    }
    objects, unknown = figures_of(size=5, stored=3, engine={"counts": {"objects": 9, "x/": None}}, part=True)
    assert (objects.get((Measure.TOTAL, "")), unknown) == (None, frozenset({"x/"}))
