"""How large each part of an S3 multipart upload is when nobody knows how large the object will be."""

MIB = 1 << 20
FIRST_PART = 16 * MIB
MOST_PARTS = 10_000  # S3's limits, as are 5 GiB for a part
LARGEST_OBJECT = 5 << 40


def part_size(number: int, *, first: int = FIRST_PART) -> int:
    """The size of part `number`, counted from 1. The last part of an object may be smaller.

    Parts start at 16 MiB and grow with the square of their number: small objects are held in little memory, and 5 TiB
    fit in 10,000 parts. The part being sent has 41 MiB after 30 GiB, 100 MiB after 100 GiB, 519 MiB after 1 TiB and
    1.5 GiB near 5 TiB. `first` scales the whole plan; it is a multiple of 16.
    """
    return first + first // 16 * (number * number * 1536 // MOST_PARTS**2)
