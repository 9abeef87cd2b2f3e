"""Copies go when their place's days are over, and never the last sound one."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from backups.copy_retention import CopyFact, copies_to_go

NOW = datetime(2026, 7, 26, tzinfo=UTC)
facts = st.builds(
    CopyFact,
    id=st.just(0),
    sound=st.booleans(),
    retention_days=st.none() | st.integers(1, 20),
    position=st.integers(0, 5),
    held=st.sampled_from([False, False, True]),
)
copies = st.lists(facts, max_size=3).map(
    lambda found: [CopyFact(**{**vars(fact), "id": number}) for number, fact in enumerate(found)]
)


@settings(max_examples=300)
@given(copies, st.integers(0, 50))
def test_only_what_has_passed_goes_and_a_sound_copy_is_always_left(found: list[CopyFact], age: int) -> None:
    going = set(copies_to_go(found, finished_at=NOW - timedelta(days=age), now=NOW))
    sound = {copy.id for copy in found if copy.sound}
    assert going <= sound
    assert not sound or sound - going, "the last sound copy is left"
    for copy in found:
        may_go = copy.sound and not copy.held and copy.retention_days is not None and copy.retention_days <= age
        assert may_go or copy.id not in going
        if may_go and copy.id not in going:
            assert sound - going == {copy.id}, "only the last one stays beyond its days"


def test_of_two_that_have_passed_the_one_with_more_days_is_kept() -> None:
    found = [CopyFact(1, True, 7, 0, False), CopyFact(2, True, 30, 1, False)]
    assert copies_to_go(found, finished_at=NOW - timedelta(days=99), now=NOW) == [1]
