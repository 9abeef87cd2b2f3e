"""The operator's own commands around a backup: `pre` before anything is asked of the Database, `post` after the rest.

A `pre` that fails stops the run before a byte was dumped. Once `pre` has begun, every `post` runs, whatever happened in
between: it undoes what `pre` did. What stops the run (a cancel, a limit) kills a `pre` and never a `post`, which its
own limit bounds. A `post` that fails is an event; the artefact that is stored by then is none the worse.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import quote, unquote

from django.conf import settings
from django.db import Error as DatabaseFault
from django.db import connection

from backups.models import Backup
from databases.engines.base import Guard
from databases.engines.command import Outcome, run_command
from databases.engines.process import GRACE_S, Tool
from databases.hooks import Command, Hooks, program_fault
from databases.models import Database
from jobs.errors import BackupError
from jobs.fields import unseal
from jobs.lease import JobCancelled, Lease, LeaseLost
from jobs.models import Status
from notifications.models import Severity
from notifications.services.record import record_event

logger = logging.getLogger(__name__)

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IN_MESSAGE = 300  # characters of a program's last line

When = Literal["pre", "post"]
Outcomes = Literal["stored", "failed", "cancelled"]


@contextmanager
def hooks_around(*, backup: Backup, database: Database, lease: Lease) -> Iterator[None]:
    """Runs the Database's hooks around a block, which ends when the artefact is stored and was read back.

    Raises BackupError: hook_not_allowed, before anything ran; hook_failed for a `pre` that failed or took too long.
    """
    hooks = Hooks.of(database.hooks)
    if not hooks:
        yield
        return
    _require_startable(hooks)
    lease.phase("pre_hook", moves_bytes=False)
    runner = _Runner(backup, database, lease, hooks)
    outcome: Outcomes = "failed"
    superseded = False
    try:
        runner.run_pre()
        lease.phase("preflight", moves_bytes=False)
        yield
        lease.phase("post_hook", moves_bytes=False)  # raises when the run was told to stop meanwhile
        outcome = "stored"
    except JobCancelled:
        outcome = "cancelled"
        raise
    except LeaseLost:
        superseded = _another_runs(database, lease)
        raise
    finally:
        runner.run_post(outcome, superseded=superseded)


class _LastWork:
    """The guard of a `post`: it goes on after the run was told to stop."""

    def __init__(self, lease: Lease) -> None:
        self.log = lease.log

    def check(self) -> None:
        """Nothing stops it but its limit."""

    def on_abort(self, callback: Any) -> Any:
        return bool


class _Runner:
    def __init__(self, backup: Backup, database: Database, lease: Lease, hooks: Hooks) -> None:
        self.backup = backup
        self.lease = lease
        self.hooks = hooks
        self.secrets = _secrets_of(database)

    def run_pre(self) -> None:
        for number, command in enumerate(self.hooks.pre, start=1):
            if fault := self._run("pre", number, command, self.lease, {}):
                raise BackupError(fault, code="hook_failed", hint="Nothing was dumped. The job's log has its words.")

    def run_post(self, outcome: Outcomes, *, superseded: bool) -> None:
        """Every one, also after one that failed."""
        if superseded and self.hooks.post:
            self.lease.log("post hooks are left to the run that has taken over")
            return
        self.lease.unwind_for(len(self.hooks.post) * (self.hooks.timeout_s + 3 * GRACE_S))
        guard = _LastWork(self.lease)
        for number, command in enumerate(self.hooks.post, start=1):
            if fault := self._run("post", number, command, guard, {"BACKUPSITE_STATUS": outcome}):
                self._record(fault)

    def _run(self, when: When, number: int, command: Command, guard: Guard, more: dict[str, str]) -> str:
        """What went wrong, in words; empty when nothing did."""
        name = f"{when} hook {number} ({PurePosixPath(command[0]).name})"
        facts = {"BACKUPSITE_DATABASE_ID": self.backup.database_id or "", "BACKUPSITE_BACKUP_ID": self.backup.pk}
        env = {"LC_ALL": "C", "PATH": PATH, **facts, "BACKUPSITE_HOOK": when, **more}
        tool = Tool(argv=[_real(command[0]), *command[1:]], env=env, secrets=self.secrets)
        began = time.monotonic()
        self.lease.log(f"{name} starts")
        try:
            ended = run_command(
                tool, guard=guard, say=lambda line: self.lease.log(f"{name}: {line}"), timeout_s=self.hooks.timeout_s
            )
        except BackupError as error:
            guard.check()
            fault = f"{name} did not start: {error}"
        else:
            fault = self._fault(name, ended)
        self.lease.log(fault or f"{name} ended well after {time.monotonic() - began:.1f} s")
        return fault

    def _fault(self, name: str, ended: Outcome) -> str:
        if ended.status == 0:
            return ""
        if ended.status is None:
            end = f"took longer than {self.hooks.timeout_s} seconds and was ended"
        elif ended.status < 0:
            end = f"was ended by signal {-ended.status}"
        else:
            end = f"failed with status {ended.status}"
        return f"{name} {end}: {ended.last[:IN_MESSAGE]}" if ended.last else f"{name} {end} and said nothing."

    def _record(self, fault: str) -> None:
        """The site's database may be away just now: that must not fail a run whose artefact is stored."""
        try:
            record_event(
                kind="hook.failed",
                severity=Severity.WARNING,
                subject_id=self.backup.pk,
                database_id=self.backup.database_id or "",
                message=f"{self.backup.database_name}: {fault}",
                hint="What the pre hooks did may still be in place: look at the server.",
            )
        except DatabaseFault as away:
            logger.warning("%s: no event of a failed hook: %s", self.backup.pk, type(away).__name__)
            connection.close()


def _require_startable(hooks: Hooks) -> None:
    """All of them, before the first: a `pre` whose `post` cannot follow would leave things as it made them."""
    for program in hooks.programs:
        if fault := program_fault(program, settings.BACKUPSITE_HOOK_PROGRAMS):
            raise BackupError(
                f"A hook cannot be run: {fault}",
                code="hook_not_allowed",
                permanent=True,
                hint="Allow the program in BACKUPSITE_HOOK_PROGRAMS on the worker's host, or remove the hook.",
            )
        if not (os.path.isfile(program) and os.access(program, os.X_OK)):
            raise BackupError(
                f"A hook cannot be run: {program} is no program here.",
                code="hook_failed",
                permanent=True,
                hint="It has to be on the host of the worker, with its execute bit set.",
            )


def _real(program: str) -> str:
    """In its folder as that really is, the one that was compared with the setting. A link to it keeps its name."""
    path = PurePosixPath(program)
    return os.path.join(os.path.realpath(path.parent), path.name)


def _another_runs(database: Database, lease: Lease) -> bool:
    """Whether a later run of this Database is at work: undoing its `pre` would spoil it, and its `post` follows."""
    running = Backup.objects.filter(database=database.pk, status=Status.IN_PROGRESS)
    try:
        return running.exclude(lease_token=lease.token).exists()
    except DatabaseFault:
        connection.close()
        return False


def _secrets_of(database: Database) -> tuple[str, ...]:
    """Every text of the Database's secrets, with passwords inside addresses, also as they are written in those."""
    texts = list(_texts(unseal(database.secrets)))
    for text in list(texts):
        if "://" in text:
            password = text.partition("://")[2].rpartition("@")[0].partition(":")[2]
            texts += [password, unquote(password)]
    return tuple({*texts, *(quote(text, safe="") for text in texts)})


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
