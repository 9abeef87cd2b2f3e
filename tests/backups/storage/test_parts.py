"""The part plan: what S3 allows, in as little memory as that takes."""

from itertools import accumulate

from backups.storage.parts import FIRST_PART, LARGEST_OBJECT, MOST_PARTS, part_size

SIZES = [part_size(number) for number in range(1, MOST_PARTS + 1)]


def test_the_largest_object_fits() -> None:
    assert sum(SIZES) >= LARGEST_OBJECT


def test_every_part_is_within_s3s_limits() -> None:
    assert min(SIZES) >= 5 << 20
    assert max(SIZES) <= 5 << 30


def test_parts_never_shrink_so_that_buffers_are_reused() -> None:
    assert sorted(SIZES) == SIZES
    assert len(set(SIZES[:250])) == 1


def test_what_is_held_stays_small_for_common_sizes() -> None:
    after = dict(zip(accumulate(SIZES), SIZES, strict=True))
    assert SIZES[0] == FIRST_PART == 16 << 20
    for written, held in ((30 << 30, 42 << 20), (100 << 30, 101 << 20), (1 << 40, 520 << 20)):
        assert max(size for total, size in after.items() if total <= written) <= held
