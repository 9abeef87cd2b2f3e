"""Keeps one server running for a whole test run, whoever of its processes asked first.

`python -m tests.servers.keeper KIND ROOM OWNER_PID` starts the server, writes `ROOM/KIND.pickle`, and stops it when the
owner (pytest's first process) ends, in whatever way, or on SIGTERM. So parallel workers share one server, and neither
Ctrl-C nor SIGKILL leaves one behind.
"""

import os
import pickle
import select
import shutil
import signal
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.servers.apt import Missing
from tests.servers.ceph import start_ceph
from tests.servers.fetch import REPOSITORY, locked
from tests.servers.mongodb import start_mongodb
from tests.servers.nostr import start_nostr
from tests.servers.postgres import start_postgres
from tests.servers.process import ServerError
from tests.servers.redis import start_redis
from tests.servers.s3 import start_s3


def _start(kind: str, folder: Path) -> AbstractContextManager[Any]:
    name, _, version = kind.partition("-")
    match name:
        case "postgres":
            return start_postgres(int(version), folder)
        case "s3":
            return start_s3(folder)
        case "mongodb":
            return start_mongodb(folder, ssl=version == "tls")
        case "redis":
            return start_redis(folder)
        case "ceph":
            return start_ceph(folder)
        case "nostr":
            return start_nostr(folder)
    raise ValueError(kind)


def shared(kind: str, room: Path, owner: int) -> Any:
    """The server of that kind in this test run, started now if nobody did before.

    Kinds are `postgres-18` and other versions, `mongodb`, `mongodb-tls`, `s3`, `ceph`, `redis`, and
    `nostr-1` and other numbers.
    """
    answer, failure = room / f"{kind}.pickle", room / f"{kind}.failed"
    with locked(room / f"{kind}.lock"):
        if failure.exists():
            raise ServerError(failure.read_text())
        if not answer.exists():
            _launch(kind, room, owner)
            if failure.exists():
                raise ServerError(failure.read_text())
    return pickle.loads(answer.read_bytes())  # written by our own child in our own folder


def _launch(kind: str, room: Path, owner: int) -> None:
    """Returns when the keeper has written its answer or its failure."""
    reader, writer = os.pipe()
    errors = room / f"{kind}.err"
    # Not a Popen: whoever asked first may end before the keeper does, and must not wait for it.
    keeper = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "tests.servers.keeper", kind, str(room), str(owner)],
        {**os.environ, "PYTHONPATH": str(REPOSITORY)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_OPEN, 2, str(errors), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        ],
        setsid=True,
    )
    os.close(writer)
    (room / f"{kind}.pid").write_text(str(keeper))
    with os.fdopen(reader, "rb") as pipe:
        if pipe.readline() != b"ready\n":
            (room / f"{kind}.failed").write_text(errors.read_text() or f"the keeper of {kind} ended")


def stop_all(room: Path) -> None:
    """Stops every keeper of a test run and waits until its server is gone."""
    for file in room.glob("*.pid"):
        try:
            pid = int(file.read_text())
            handle = os.pidfd_open(pid)
        except (ProcessLookupError, ValueError):
            continue
        try:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            select.select([handle], [], [], 20)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)


def _keep(kind: str, room: Path, owner: int) -> None:
    stopping, stop = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os.write(stop, b"x"))
    try:
        alive = os.pidfd_open(owner)
    except ProcessLookupError:
        return
    with _start(kind, room / f"{kind}-data") as server:
        answer = room / f"{kind}.pickle"
        answer.with_suffix(".new").write_bytes(pickle.dumps(server))
        answer.with_suffix(".new").rename(answer)
        print("ready", flush=True)
        ended, _, _ = select.select([alive, stopping], [], [])
    if alive in ended:
        shutil.rmtree(room, ignore_errors=True)  # the owner can no longer do it


def main() -> int:
    kind, room, owner = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    try:
        _keep(kind, room, owner)
    except (Missing, ServerError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
