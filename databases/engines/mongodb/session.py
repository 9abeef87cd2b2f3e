"""Our own connection to the server: checks, facts and counts. The driver's and the server's faults become BackupError.

The driver's asynchronous client is used because a question to a frozen server can then be left at once, from any
thread; each question runs its own event loop in the calling thread.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from databases.engines.base import Guard
from databases.engines.mongodb.faults import KNOWN, ROWS
from databases.engines.mongodb.login import Login
from databases.engines.process import explain
from jobs.errors import BackupError

Answer = TypeVar("Answer")
Client = AsyncMongoClient[dict[str, Any]]
Question = Callable[[Client], Awaitable[Answer]]

ANSWER_WITHIN_S = 60.0  # what questions may take together that nobody can cancel


def ask(login: Login, question: Question[Answer], *, guard: Guard | None = None) -> Answer:
    """`await question(client)`, on a connection of its own.

    It is left when the guard aborts, or after a minute where there is none. Raises BackupError: unreachable,
    wrong_password, permission, tls.
    """
    try:
        return asyncio.run(_asked(login, question, guard))
    except asyncio.CancelledError:
        if guard is not None:
            guard.check()
        raise
    except TimeoutError as error:
        raise BackupError(
            f"MongoDB did not answer within {ANSWER_WITHIN_S:.0f} seconds.",
            code="unreachable",
            hint="The server hangs or is overloaded: look at its log and at db.currentOp().",
        ) from error
    except PyMongoError as error:
        raise translate(error, login) from error


async def _asked(login: Login, question: Question[Answer], guard: Guard | None) -> Answer:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def leave() -> None:
        with suppress(RuntimeError):  # the loop has just ended by itself
            loop.call_soon_threadsafe(task.cancel)

    forget = guard.on_abort(leave) if guard else lambda: None
    # Polled: a streaming monitor opens a second connection, which we would leave half open after a short question.
    client: Client = AsyncMongoClient(login.uri, serverMonitoringMode="poll")
    try:
        async with asyncio.timeout(None if guard else ANSWER_WITHIN_S):
            return await question(client)
    finally:
        forget()
        await client.close()


def translate(error: PyMongoError, login: Login) -> BackupError:
    words = ROWS.sub(r"\1 ********", str(error).strip()).split(", Timeout:")[0] or type(error).__name__
    for secret in login.secrets:
        words = words.replace(secret, "********")
    found = explain(words, KNOWN)
    return BackupError(
        f"MongoDB: {words}",
        code=found.code if found else "server_error",
        permanent=found.permanent if found else False,
        hint=found.hint if found else "",
    )
