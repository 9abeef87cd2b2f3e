"""What is being done just now in this thread or task: the changes so far, and what a service says of itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

MOST_CHANGES = 50


@dataclass
class Draft:
    """`said` are fields of the entry that a service knows better than the one who writes it."""

    changes: list[dict[str, Any]] = field(default_factory=list)
    more: int = 0
    said: dict[str, Any] = field(default_factory=dict)

    def note(self, change: dict[str, Any]) -> None:
        """The first ones in full; the others are counted."""
        if len(self.changes) < MOST_CHANGES:
            self.changes.append(change)
        else:
            self.more += 1


_current: ContextVar[Draft | None] = ContextVar("audit_draft", default=None)


@contextmanager
def drafting() -> Iterator[Draft]:
    """Changes of rows inside are noted. One inside another goes into the outer one."""
    outer = _current.get()
    if outer is not None:
        yield outer
        return
    draft = Draft()
    token = _current.set(draft)
    try:
        yield draft
    finally:
        _current.reset(token)


def current() -> Draft | None:
    return _current.get()


def say(**values: Any) -> None:
    """Fields of the entry that will be written of this: `action`, `object_name`, `detail`. Does nothing outside."""
    if (draft := _current.get()) is not None:
        draft.said |= values
