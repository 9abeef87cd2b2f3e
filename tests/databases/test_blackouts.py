"""When schedules may start a backup."""

from datetime import UTC, datetime

import pytest

from databases.blackouts import blackouts_fault, free_after

NIGHT = {"from": "22:00", "to": "06:00"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("windows", "asked", "free"),
    [
        ([], "2026-03-04T03:00", "2026-03-04T03:00"),
        ([NIGHT], "2026-03-04T03:00", "2026-03-04T06:00"),
        ([NIGHT], "2026-03-04T23:00", "2026-03-05T06:00"),
        ([NIGHT], "2026-03-04T06:00", "2026-03-04T06:00"),
        ([NIGHT, {"from": "05:30", "to": "08:00"}], "2026-03-04T23:00", "2026-03-05T08:00"),
        ([{**NIGHT, "days": ["fri"]}], "2026-03-07T03:00", "2026-03-07T06:00"),  # a Saturday: it began on Friday
        ([{**NIGHT, "days": ["fri"]}], "2026-03-04T03:00", "2026-03-04T03:00"),
        ([{"from": "08:00", "to": "18:00", "timezone": "Asia/Kolkata"}], "2026-03-04T03:00", "2026-03-04T12:30"),
    ],
)
def test_a_start_is_put_off_to_the_end_of_its_blackouts(
    windows: list[dict[str, object]], asked: str, free: str
) -> None:
    assert free_after(windows, at(asked)) == at(free)


@pytest.mark.parametrize(
    "windows",
    [
        {"from": "08:00"},
        [{"from": "08:00", "to": "09:00", "days": [["mon"]]}],
        [{"from": "08:00", "to": "09:00", "timezone": ["UTC"]}],
        [{"from": "08:00"}],
        [{"from": "8", "to": "9"}],
        [{"from": 8, "to": 9}],
        [{**NIGHT, "days": ["Friday"]}],
        [{**NIGHT, "days": []}],
        [{**NIGHT, "timezone": "Mars"}],
        [{**NIGHT, "more": 1}],
        [{"from": "00:00", "to": "00:00"}],
        [{"from": "00:00", "to": "12:00"}, {"from": "12:00", "to": "00:00"}],
    ],
)
def test_a_wrong_list_is_refused_in_words(windows: object) -> None:
    assert blackouts_fault(windows)


def test_a_right_list_has_no_fault() -> None:
    assert (
        blackouts_fault([NIGHT, {"from": "08:00", "to": "18:00", "days": ["mon"], "timezone": "Asia/Kolkata"}]) is None
    )
