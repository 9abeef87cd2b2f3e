"""Which time zones there are."""

from functools import cache
from zoneinfo import available_timezones


@cache
def known_timezones() -> frozenset[str]:
    """By their IANA names. Looked up once: it reads folders, some 20 ms each time."""
    return frozenset(available_timezones())
