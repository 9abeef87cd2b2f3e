"""Write one entry of the audit. Who calls takes care that no secret is in it."""

from typing import Any

from audit.models import Entry
from audit.services.draft import Draft


def record(*, action: str, via: str, outcome: str, draft: Draft | None = None, **values: Any) -> Entry:
    """`values` are the other fields of an entry; texts that are too long for theirs are cut.

    What a service said of itself while `draft` was open goes before them.
    """
    known = {"action": action, "via": via, "outcome": outcome, **values}
    changes: list[dict[str, Any]] = []
    if draft is not None:
        known |= draft.said
        changes = [*draft.changes, *([{"more": draft.more}] if draft.more else [])]
    return Entry.objects.create(changes=changes, **{name: _cut(name, value) for name, value in known.items()})


def _cut(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    longest = getattr(Entry._meta.get_field(name), "max_length", None)
    return value.replace("\0", "")[:longest]
