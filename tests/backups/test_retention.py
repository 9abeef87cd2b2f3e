"""Which backups may go, and why."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backups.retention import Fact, Limits, Verdict, decide

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def fact(name: str, days_ago: float, **values: Any) -> Fact:
    values = {"status": "completed", **values}
    return Fact(name, finished_at=NOW - days_ago * DAY, **values)


def daily(count: int) -> list[Fact]:
    return [fact(f"b{number:02}", number) for number in range(count)]


def judge(facts: list[Fact], *, timezone: str = "UTC", now: datetime = NOW, **limits: Any) -> dict[str, Verdict]:
    verdicts = decide(facts, limits=Limits(**limits), timezone=timezone, now=now)
    return {verdict.fact.id: verdict for verdict in verdicts}


def kept(facts: list[Fact], **given: Any) -> list[str]:
    return sorted(name for name, verdict in judge(facts, **given).items() if not verdict.goes)


def reasons(facts: list[Fact], name: str, **limits: Any) -> tuple[str, ...]:
    return judge(facts, **limits)[name].reasons


def test_nothing_goes_without_a_limit() -> None:
    assert len(kept(daily(400), keep_daily=1)) == 400
    assert reasons(daily(3), "b02") == ("kept: no limit is set",)


def test_age_and_count_are_limits_and_every_reason_is_said() -> None:
    assert kept(daily(10), retention_days=5) == ["b00", "b01", "b02", "b03", "b04", "b05"]
    assert kept(daily(10), max_backups=3) == ["b00", "b01", "b02"]
    both = {"retention_days": 5, "max_backups": 3}
    assert reasons(daily(10), "b09", **both) == ("goes: older than 5 days", "goes: beyond the newest 3")
    assert reasons(daily(10), "b04", **both) == ("goes: beyond the newest 3",)
    assert reasons(daily(10), "b01", **both) == ("kept: it has passed no limit",)


def test_tiers_keep_the_newest_of_each_period_that_has_one() -> None:
    facts = [*daily(3), fact("noon", 1.1), fact("last-month", 30), fact("last-year", 400), fact("older", 401)]
    given = {"max_backups": 1, "keep_daily": 2, "keep_monthly": 2, "keep_yearly": 2}
    assert kept(facts, **given) == ["b00", "b01", "last-month", "last-year"]
    assert reasons(facts, "last-month", **given) == ("kept: monthly of 2026-10", "although beyond the newest 1")
    assert reasons(facts, "b00", **given) == (
        "kept: the last completed one",
        "kept: daily of 2026-11-20",
        "kept: monthly of 2026-11",
        "kept: yearly of 2026",
    )
    assert "kept: weekly of 2026-W47" in reasons(facts, "b00", keep_weekly=1)


def test_a_day_is_the_day_of_the_databases_timezone() -> None:
    # 18:00 and 19:00 UTC lie on both sides of midnight in Kolkata (UTC+5:30).
    evening = [
        Fact(name, "completed", datetime(2026, 11, 18, hour, tzinfo=UTC)) for name, hour in (("a", 18), ("b", 19))
    ]
    facts = [*evening, fact("new", 0)]
    assert kept(facts, retention_days=1, keep_daily=5) == ["b", "new"]
    assert kept(facts, retention_days=1, keep_daily=5, timezone="Asia/Kolkata") == ["a", "b", "new"]


def test_a_lock_a_reader_a_proof_and_the_last_one_keep() -> None:
    facts = [
        fact("last", 10),
        fact("plain", 11),
        fact("locked", 12, locked=True),
        fact("read", 13, read=True),
        fact("proven", 14, proven_at=NOW),
        fact("proven-before", 13.5, proven_at=NOW - DAY),
    ]
    assert kept(facts, retention_days=5) == ["last", "locked", "proven", "read"]
    assert reasons(facts, "proven", retention_days=5) == ("kept: the last proven one", "although older than 5 days")


def test_what_stays_holds_all_it_builds_on() -> None:
    facts = [
        fact("full", 12),
        fact("one", 11, type="incremental", parent="full"),
        fact("two", 10, type="incremental", parent="one"),
        fact("next", 1),
    ]
    assert kept(facts, retention_days=5) == ["next"]
    locked = [*facts[:2], replace(facts[2], locked=True), facts[3]]
    assert kept(locked, retention_days=5) == ["full", "next", "one", "two"]
    assert reasons(locked, "full", retention_days=5) == ("kept: one builds on it", "although older than 5 days")
    assert kept([facts[0], replace(facts[1], locked=True), *facts[2:]], retention_days=5) == ["full", "next", "one"]
    running = Fact("run", "in_progress", None, type="incremental", parent="two")
    assert kept([*facts, running], retention_days=5) == ["full", "next", "one", "run", "two"]
    order = sorted(
        (verdict for verdict in judge(facts, retention_days=5).values() if verdict.goes), key=lambda v: -v.depth
    )
    assert [verdict.fact.id for verdict in order] == ["two", "one", "full"]


def test_a_failed_incremental_holds_nothing() -> None:
    failed = fact("failed", 9, status="failed", type="incremental", parent="full")
    assert kept([fact("full", 10), failed, fact("newest", 1)], retention_days=5) == ["failed", "newest"]


def test_backups_of_a_part_are_counted_by_themselves() -> None:
    parts = [fact(f"part{number}", number / 10, type="selective") for number in range(5)]
    users = [fact(f"users{number}", number / 10, collection="users") for number in range(5)]
    assert kept([*daily(5), *parts, *users], max_backups=2) == ["b00", "b01", "part0", "part1", "users0", "users1"]


def test_damaged_ones_take_no_place_and_the_last_readable_one_stays() -> None:
    facts = [fact("damaged", 1, sound=False), fact("good", 20), fact("older", 21)]
    assert kept(facts, max_backups=1, retention_days=5) == ["damaged", "good"]
    assert "kept: the last completed one that can be read" in reasons(facts, "good", retention_days=5)
    broken = [fact("full", 9, sound=False), fact("new", 1, type="incremental", parent="full"), fact("good", 20)]
    assert "good" in kept(broken, retention_days=5)


def test_thirty_failing_days_take_nothing() -> None:
    """Nothing goes while newer ones only fail."""
    failing = [fact(f"f{number:02}", number, status="failed") for number in range(30)]
    old = [fact(f"b{number:02}", 30 + number) for number in range(1, 8)]
    limits = {"retention_days": 7, "max_backups": 2, "failed_days": 10}
    assert [name for name in kept([*failing, *old], **limits) if name.startswith("b")] == [backup.id for backup in old]
    assert reasons([*failing, *old], "b07", **limits)[0] == "kept: newer ones only failed, the last of them f00"
    assert kept([fact("new", 0), *failing[1:], *old], **limits)[-1:] == ["new"]


def test_failed_and_cancelled_ones_have_an_age_of_their_own() -> None:
    facts = [fact("good", 0), fact("failed", 31, status="failed"), fact("cancelled", 31, status="cancelled")]
    assert kept(facts, retention_days=1, max_backups=1, failed_days=30) == ["good"]
    assert kept(facts, retention_days=1, max_backups=1) == ["cancelled", "failed", "good"]
    assert reasons(facts, "failed", failed_days=30) == ("goes: failed more than 30 days ago",)
    # As long as nothing was completed after it, the newest failure stays: it is what holds the old ones.
    only = [fact("old", 90), fact("failed", 60, status="failed"), fact("failed-before", 61, status="failed")]
    assert kept(only, retention_days=7, failed_days=30) == ["failed", "old"]


def test_a_clock_that_was_set_back_lets_nothing_go_early() -> None:
    """The clock steps back by a day: what ended after `now` stays, and pushes nothing out."""
    facts = daily(10)
    limits: dict[str, Any] = {"max_backups": 3, "retention_days": 5, "keep_daily": 2}
    before = set(kept(facts, **limits))
    assert before <= set(kept(facts, now=NOW - DAY, **limits))
    assert judge(facts, now=NOW - DAY, **limits)["b00"].holds == ["it ended in the future: the clock was set back"]
    assert "b03" in kept(facts, now=NOW - DAY, **limits)


def test_it_foresees_when_a_backup_goes_where_age_alone_decides() -> None:
    facts = [
        fact("new", 0),
        fact("full", 2),
        fact("inc", 1, type="incremental", parent="full"),
        fact("held", 3, locked=True),
    ]
    verdicts = judge(facts, retention_days=7)
    assert verdicts["new"].expires_at == NOW + 7 * DAY
    assert verdicts["held"].expires_at is None
    assert verdicts["inc"].expires_at == verdicts["full"].expires_at == NOW + 6 * DAY
    assert judge([fact("only", 9)], retention_days=7)["only"].expires_at is None
    assert judge(facts, max_backups=7)["new"].expires_at is None


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """Up to 24 backups: chains, failures, damage, locks, parts, and some from the future."""
    facts: list[Fact] = []
    for number in range(draw(st.integers(0, 24))):
        status = draw(st.sampled_from(["completed"] * 5 + ["failed", "cancelled", "in_progress"]))
        whole = [fact.id for fact in facts if fact.status == "completed" and fact.type != "selective"]
        kind = draw(st.sampled_from(["full", "full", "incremental", "selective"]))
        builds = kind == "incremental" and whole and status not in ("failed", "cancelled")
        parent = draw(st.sampled_from(whole)) if builds else None
        facts.append(
            Fact(
                id=f"b{number:02}",
                status=status,
                finished_at=None if status == "in_progress" else NOW - draw(st.integers(-24, 24 * 400)) * DAY / 24,
                type=kind if parent or kind != "incremental" else "full",
                parent=parent,
                locked=draw(st.integers(0, 9)) == 0,
                read=draw(st.integers(0, 9)) == 0,
                sound=draw(st.integers(0, 9)) != 0,
                proven_at=NOW - DAY if draw(st.integers(0, 4)) == 0 else None,
            )
        )
    return facts


def ahead(fact: Fact) -> bool:
    return fact.finished_at is not None and fact.finished_at > NOW


numbers = st.integers(0, 8)
limits = st.builds(
    Limits, st.sampled_from([0, 1, 7, 30, 365]), numbers, numbers, numbers, numbers, numbers, st.just(30)
)
zones = st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"])


def going(facts: list[Fact], limit: Limits, zone: str = "UTC", now: datetime = NOW) -> set[str]:
    verdicts = decide(facts, limits=limit, timezone=zone, now=now)
    assert len(verdicts) == len(facts)
    assert all(verdict.reasons for verdict in verdicts)
    return {verdict.fact.id for verdict in verdicts if verdict.goes}


@given(histories(), limits, zones)
def test_the_last_good_one_and_whole_chains_always_stay(facts: list[Fact], limit: Limits, zone: str) -> None:
    gone = going(facts, limit, zone)
    stay = [fact for fact in facts if fact.id not in gone]
    names = {fact.id for fact in stay}
    assert all(fact.parent is None or fact.parent in names for fact in stay)
    for selective in (True, False):
        ended = [f for f in facts if f.status == "completed" and (f.type == "selective") is selective and not ahead(f)]
        assert not ended or max(ended, key=lambda fact: (fact.finished_at, fact.id)).id in names
    roots = [f for f in facts if f.status == "completed" and f.sound and f.type == "full" and not ahead(f)]
    assert not roots or any(fact.id in names for fact in roots)


@given(histories(), limits, zones, st.randoms(use_true_random=False))
def test_the_order_of_the_facts_means_nothing(facts: list[Fact], limit: Limits, zone: str, random: Any) -> None:
    mixed = list(facts)
    random.shuffle(mixed)
    assert decide(mixed, limits=limit, timezone=zone, now=NOW) == decide(facts, limits=limit, timezone=zone, now=NOW)


@given(histories(), limits, zones)
def test_a_second_run_removes_nothing_more(facts: list[Fact], limit: Limits, zone: str) -> None:
    gone = going(facts, limit, zone)
    assert going([fact for fact in facts if fact.id not in gone], limit, zone) == set()


@given(histories(), limits, st.sampled_from(["keep_daily", "keep_weekly", "keep_monthly", "keep_yearly"]), st.data())
def test_another_keep_never_removes_more(facts: list[Fact], limit: Limits, tier: str, data: st.DataObject) -> None:
    gone = going(facts, limit)
    assert going(facts, replace(limit, **{tier: getattr(limit, tier) + 1})) <= gone
    if facts:
        chosen = data.draw(st.sampled_from(facts))
        marked = replace(chosen, locked=True)
        assert going([marked if fact is chosen else fact for fact in facts], limit) <= gone


@given(histories(), limits)
def test_a_wider_limit_never_removes_more(facts: list[Fact], limit: Limits) -> None:
    gone = going(facts, limit)
    if limit.retention_days:
        assert going(facts, replace(limit, retention_days=limit.retention_days + 10)) <= gone
    if limit.max_backups:
        assert going(facts, replace(limit, max_backups=limit.max_backups + 1)) <= gone


@given(histories(), limits, st.integers(1, 48))
def test_an_earlier_clock_never_removes_more_by_age(facts: list[Fact], limit: Limits, hours: int) -> None:
    by_age = Limits(retention_days=limit.retention_days, failed_days=limit.failed_days)
    assert going(facts, by_age, now=NOW - timedelta(hours=hours)) <= going(facts, by_age)


@given(st.lists(st.sampled_from(["completed", "failed", "cancelled"]), max_size=60), st.integers(1, 9))
def test_only_completed_ones_are_counted(outcomes: list[str], count: int) -> None:
    facts = [fact(f"b{number:02}", number / 24, status=status) for number, status in enumerate(outcomes)]
    completed = [fact.id for fact in facts if fact.status == "completed"]
    failing = (
        "failed" in outcomes and "completed" in outcomes and outcomes.index("failed") < outcomes.index("completed")
    )
    expected = completed if failing else completed[:count]
    gone = going(facts, Limits(max_backups=count))
    assert [name for name in completed if name not in gone] == expected
    assert gone <= set(completed)
