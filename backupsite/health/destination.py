"""Whether a destination can be used, for whoever polls: one look at a time, and nobody waits for it for long."""

import threading
from concurrent.futures import Future

from django.core.cache import cache
from django.db import connection

from backups.models import Destination
from backups.services.look import fault_of

CACHE_S = 60
WAIT_S = 5.0
SLOW = "slow"

_guard = threading.Lock()
_looks: dict[str, "Future[str]"] = {}


def fault_code(destination: Destination) -> str:
    """Empty when it can be used. A store that swallows packets keeps one thread busy, not each request that asks."""
    key = f"readyz:{destination.pk}"
    known: str | None = cache.get(key)
    if known is not None:
        return known
    try:
        return _look(destination, key).result(WAIT_S)
    except TimeoutError:
        cache.add(key, SLOW, CACHE_S)
        return SLOW


def _look(destination: Destination, key: str) -> "Future[str]":
    """The look that is under way, or a new one."""
    with _guard:
        if key not in _looks:
            _looks[key] = Future()
            threading.Thread(target=_ask, args=(destination, key), name="readyz", daemon=True).start()
        return _looks[key]


def _ask(destination: Destination, key: str) -> None:
    try:
        code = fault_of(destination)  # writes nothing: where nothing may be deleted it would stay
        cache.set(key, code, CACHE_S)
        connection.close()
        _looks[key].set_result(code)
    except BaseException as error:  # noqa: BLE001  a bug goes to whoever asked
        connection.close()
        _looks[key].set_exception(error)
    finally:
        with _guard:
            del _looks[key]
