"""What higher rooms tell this one: where their things are shown, and which Databases there are."""

from collections.abc import Callable, Sequence

_pages: dict[str, str] = {}
_databases: list[Callable[[], Sequence[tuple[str, str]]]] = []


def register_page(what: str, view: str) -> None:
    """`view` shows the subject of events whose id begins with `what` (`bkp_`) or whose kind does (`destination.`).

    What is registered as `database` shows the Database of an event whose subject has no page of its own.
    """
    _pages[what] = view


def page_of(what: str) -> str:
    """Empty where nothing is registered."""
    return _pages.get(what, "")


def register_databases(choices: Callable[[], Sequence[tuple[str, str]]]) -> None:
    """`choices()` are the ids and names of all Databases."""
    _databases.append(choices)


def databases() -> list[tuple[str, str]]:
    return [choice for choices in _databases for choice in choices()]
