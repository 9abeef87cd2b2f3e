"""What this room hands to those below: a sweep step that keeps beat in step, and the names of the Databases."""

import time

from databases.models import Database
from databases.services.beat import keep_in_step
from jobs.registry import register_sweep_step
from notifications.registry import register_databases, register_page

EVERY_S = 300.0

_last = [-EVERY_S]


def register() -> None:
    register_sweep_step("beat", keep_in_step_now_and_then, slow=True)
    register_page("database", "admin:databases_database_change")
    register_databases(_names)


def _names() -> list[tuple[str, str]]:
    return list(Database.objects.values_list("pk", "name"))


def keep_in_step_now_and_then() -> int:
    """Rows that were edited in the database itself or came with a restored one; nothing waits for it."""
    if time.monotonic() - _last[0] < EVERY_S:
        return 0
    _last[0] = time.monotonic()
    return keep_in_step()
