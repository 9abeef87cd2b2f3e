"""An operator's own question to what a drill has restored: how many records has a collection?"""

from collections.abc import Callable, Sequence
from typing import Any

from databases.engines.proof import unanswerable

FORM = 'Write it as {"count": "users"}.'


def fault_of(query: Any) -> str:
    if not isinstance(query, dict) or query.keys() != {"count"} or not isinstance(query["count"], str):
        return FORM
    return "" if query["count"] else FORM


def evaluate(count: Callable[[str], int], collections: Sequence[str], query: Any) -> int:
    """Raises BackupError(code="assertion")."""
    if fault := fault_of(query):
        raise unanswerable(fault)
    name = query["count"]
    if name not in collections:
        raise unanswerable(f"The backup has no collection {name!r}; it has {', '.join(collections)}.")
    return count(name)
