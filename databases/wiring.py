"""What this room hands to the life cycle: a sweep step that keeps beat in step."""

import time

from databases.services.beat import keep_in_step
from jobs.registry import register_sweep_step

EVERY_S = 300.0

_last = [-EVERY_S]


def register() -> None:
    register_sweep_step("beat", keep_in_step_now_and_then, slow=True)


def keep_in_step_now_and_then() -> int:
    """Rows that were edited in the database itself or came with a restored one; nothing waits for it."""
    if time.monotonic() - _last[0] < EVERY_S:
        return 0
    _last[0] = time.monotonic()
    return keep_in_step()
