"""Whether the broker answers, for whoever looks at a page: asked at most every half minute, and waited for briefly."""

import threading
from datetime import datetime
from typing import NamedTuple

from celery import current_app
from django.core.cache import cache
from django.utils import timezone
from kombu.exceptions import KombuError

KEY = "broker-answers"
CACHE_S = 30
WAIT_S = 0.5  # a page does not wait longer; the answer is there for the next one
CONNECT_S = 3

_guard = threading.Lock()
_asking: threading.Thread | None = None


class Answer(NamedTuple):
    """`ok` None: not known yet."""

    ok: bool | None
    at: datetime | None


def broker_answers() -> Answer:
    known: Answer | None = cache.get(KEY)
    if known is not None:
        return known
    thread = _ask_once()
    thread.join(WAIT_S)
    found: Answer = cache.get(KEY) or Answer(None, None)
    return found


def _ask_once() -> threading.Thread:
    global _asking  # noqa: PLW0603  one question at a time in this process
    with _guard:
        if _asking is None or not _asking.is_alive():
            _asking = threading.Thread(target=_ask, name="broker", daemon=True)
            _asking.start()
        return _asking


def _ask() -> None:
    try:
        with current_app.connection_for_write(connect_timeout=CONNECT_S) as wire:
            wire.ensure_connection(max_retries=1, timeout=CONNECT_S)
        ok = True
    except (OSError, KombuError):
        ok = False
    cache.set(KEY, Answer(ok, timezone.now()), CACHE_S)
