"""The scratch target of a drill: its name is on the row before it is made, and until it is known to be gone."""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db.models import Q, QuerySet

from backups.models import Drill
from databases.engines import registry
from databases.engines.base import Engine, Guard
from databases.engines.proof import ScratchRequest
from databases.models import Database
from databases.services.build_engine import build_engine
from jobs.errors import BackupError
from jobs.lease import Lease
from jobs.models import LogLine, Status

logger = logging.getLogger(__name__)

TEAR_DOWN_S = 120.0  # what taking it down may take when the run was told to stop
ROUND_S = 20.0  # other slow steps wait behind this one


def scratch_name(drill: Drill) -> str:
    return f"bsdrill_{drill.pk.removeprefix('drl_')[:12]}_{drill.attempt}"


@contextmanager
def scratch_target(*, drill: Drill, engine: str, lease: Lease, torn: Callable[[str], None]) -> Iterator[Engine]:
    """A throw-away target for this attempt; gone after the block, whatever happened in it.

    What keeps it from being removed is told to `torn` and the log; it does not undo what was proven, and the sweeper
    goes on trying. Raises BackupError: no_scratch, and what the server says.
    """
    remove_left_scratch(drill, lease)
    drill.scratch = scratch_name(drill)
    lease.own_rows.update(scratch=drill.scratch)
    made = registry.engine_class(engine).scratch(_request(drill, lease))
    target = made.__enter__()
    try:
        yield target
    finally:
        lease.unwind_for(TEAR_DOWN_S)
        try:
            made.__exit__(None, None, None)
        except (BackupError, OSError) as error:
            torn(f"The scratch target {drill.scratch} could not be removed yet, the sweeper goes on trying: {error}")
        else:
            _forget(drill)


def remove_left_scratches() -> int:
    """The sweeper's slow step: what attempts have left behind that were killed. Returns how many are gone.

    What the engine made by itself, on no server, lies on the host of its worker. A server that does not answer is
    asked once a round.
    """
    removed = 0
    silent: set[str | None] = set()
    deadline = time.monotonic() + ROUND_S
    for drill in _left().order_by("finished_at", "pk"):
        if time.monotonic() > deadline:
            break
        if drill.server_id in silent:
            continue
        try:
            remove_left_scratch(drill, _Unhurried(drill))
            removed += 1
        except (BackupError, OSError) as error:
            silent.add(drill.server_id)
            logger.warning("%s of %s stays until its server answers: %s", drill.scratch, drill.pk, error)
    return removed


def remove_left_scratch(drill: Drill, guard: Guard) -> None:
    """What an earlier attempt has left. Raises BackupError and OSError; then its name stays on the row."""
    if not drill.scratch:
        return
    try:
        registry.engine_class(_engine_of(drill)).remove_scratch(_request(drill, guard))
    except BackupError as error:
        if error.code != "no_scratch":  # where none can be made there is none
            raise
    else:
        guard.log(f"removed {drill.scratch}, which an attempt had left behind")
    _forget(drill)


def _left() -> QuerySet[Drill]:
    reachable = Q(server__isnull=False) | Q(worker__startswith=f"{socket.gethostname()}:")
    rows = Drill.objects.exclude(scratch="").exclude(status=Status.IN_PROGRESS).filter(reachable)
    return rows.select_related("server", "backup").defer("report")


def _request(drill: Drill, guard: Guard) -> ScratchRequest:
    return ScratchRequest(
        name=drill.scratch,
        guard=guard,
        manifest=drill.backup.manifest.get("engine", {}) if drill.backup else {},
        server=build_engine(database=drill.server) if drill.server else None,
        settings=settings.BACKUPSITE_ENGINE_SETTINGS,
    )


def _engine_of(drill: Drill) -> str:
    if drill.backup is not None:
        return drill.backup.engine
    known = drill.server or Database.objects.filter(pk=drill.database_id).first()
    if known is None:
        raise BackupError(f"Nobody knows any more which engine made {drill.scratch}.", code="unknown_engine")
    return known.engine


def _forget(drill: Drill) -> None:
    """Compared: a later attempt may have written its own name meanwhile."""
    Drill.objects.filter(pk=drill.pk, scratch=drill.scratch).update(scratch="")
    drill.scratch = ""


class _Unhurried:
    """The guard of the sweeper: nobody stops it, and what it says goes to the drill's log."""

    def __init__(self, drill: Drill) -> None:
        self._drill = drill

    def check(self) -> None:
        """Nothing stops it."""

    def on_abort(self, callback: Callable[[], None]) -> Callable[[], None]:
        return _nothing

    def log(self, message: str) -> None:
        LogLine.objects.create(job_kind=Drill.kind, job_id=self._drill.pk, attempt=self._drill.attempt, message=message)


def _nothing() -> None:
    pass
