"""How one restore is done: decided before the first byte is written."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from databases.engines.base import RestoreRequest
from databases.engines.postgres import target
from databases.engines.postgres.archive import Entry, major_of
from databases.engines.postgres.masking import masking_sql, require_transaction
from databases.engines.postgres.peek import PeekedSource
from databases.engines.postgres.select import select
from databases.engines.postgres.session import Session
from jobs.errors import BackupError

LOCKS_SHARE = 0.7
MANY_TRANSACTIONS = (
    "The backup holds more objects than one transaction of the target can lock, so it was restored in many. "
    "Raise max_locks_per_transaction to have all or nothing."
)
COMMITS_ITSELF = (
    "The plain dump commits by itself behind its large objects: had a later step failed, what came before would have "
    "stayed. The custom format is all or nothing."
)


@dataclass(frozen=True)
class Plan:
    """`lines` is pg_restore's use list (None: everything). `prologue` and `epilogue` are SQL around the dump's own:
    they begin the transaction, compare and commit."""

    options: tuple[str, ...]
    lines: tuple[str, ...] | None
    prologue: str
    epilogue: str
    atomic: bool
    counts: Mapping[str, int]
    notes: tuple[str, ...]


def make_plan(session: Session, source: PeekedSource, request: RestoreRequest) -> Plan:
    """Raises BackupError: unsupported, server_too_old, target_not_empty, nothing_matches, missing_roles."""
    manifest = source.manifest
    _require_new_enough(session, source)
    if request.include and source.head is None:
        raise BackupError(
            "Selected tables cannot be taken from a plain dump.",
            code="unsupported",
            permanent=True,
            hint="Restore all of it, or make backups in the custom format.",
        )
    options, notes = _ownership(session, source)
    counts = {name: count for name, count in manifest.get("counts", {}).items() if count is not None}
    atomic = _fits_one_transaction(session, manifest)
    lines: tuple[str, ...] | None = None
    only: list[tuple[Entry, str]] | None = None
    # Emptying a target in use waits a minute for its locks; the dump's own first lines turn the timeout off again.
    prologue = ["SET client_min_messages = warning; SET statement_timeout = 0; SET lock_timeout = '60s';"]
    prologue += ["BEGIN;"] if atomic else []
    if request.include and source.head is not None:
        chosen = select(source.head, request.include, session)
        names = [session.value("SELECT format('%%I.%%I', %s, %s)", (e.namespace, e.tag)) for e in chosen.relations]
        only = list(zip(chosen.relations, names, strict=True))
        lines = tuple(entry.line for entry in chosen.entries)
        counts = {name: count for name, count in counts.items() if name in names}
        notes += chosen.notes
        entries: Sequence[Entry] = chosen.entries
        if request.drop_existing:
            prologue += target.drop_relations([(entry.kind, name) for entry, name in only])
        else:
            target.require_absent(session, names)
    else:
        entries = source.head.entries if source.head else ()
        if request.drop_existing:
            prologue.append(target.drop_everything(commit=not atomic))
        else:
            target.require_empty(session)
    prologue += _schemas(session, entries, manifest)
    if not atomic:
        notes += (MANY_TRANSACTIONS,)
    elif source.head is None and manifest.get("large_objects", 1):
        notes += (COMMITS_ITSELF,)
    epilogue = _comparison(counts)
    if request.masking:
        require_transaction(atomic=atomic and (source.head is not None or not manifest.get("large_objects", 1)))
        held = source.head.entries if source.head else ()
        epilogue += masking_sql(request.masking, entries=held, only=only, partial=_is_partial(manifest))
    epilogue += "COMMIT;\n" if atomic else ""
    return Plan(options, lines, "\n".join(prologue), epilogue, atomic, counts, notes)


def _is_partial(manifest: Mapping[str, Any]) -> bool:
    selection = manifest.get("selection", {})
    return any(selection.get(name) for name in ("include", "exclude", "schemas"))


def _require_new_enough(session: Session, source: PeekedSource) -> None:
    made_on = str((source.head.server_version if source.head else "") or source.manifest.get("server_version", ""))
    major = major_of(made_on)
    if major > session.server_major:
        raise BackupError(
            f"The backup is of PostgreSQL {made_on}, the target is the older {session.server_version}.",
            code="server_too_old",
            permanent=True,
            hint=f"Restore into PostgreSQL {major} or newer.",
        )


def _fits_one_transaction(session: Session, manifest: Mapping[str, Any]) -> bool:
    wanted = manifest.get("relations", 0) + manifest.get("large_objects", 0)
    present = session.value(
        """SELECT (SELECT count(*) FROM pg_catalog.pg_class WHERE oid >= 16384)
                + (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata)"""
    )
    return bool(wanted + present < LOCKS_SHARE * target.locks(session))


def _ownership(session: Session, source: PeekedSource) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Owners and rights are restored when the target has every role and we may act for it, otherwise left out."""
    needed = set(source.manifest.get("roles", ()))
    spaces = set()
    if source.head is not None:
        needed |= {entry.owner for entry in source.head.entries if entry.owner}
        spaces = {entry.tablespace for entry in source.head.entries if entry.tablespace}
    right = "SET" if session.server_major >= 16 else "MEMBER"
    rows = session.rows(f"SELECT rolname FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(oid, '{right}')")
    usable = {name for (name,) in rows}
    missing = sorted(needed - usable)
    options: list[str] = []
    notes: list[str] = []
    if missing:
        if source.head is None:
            raise BackupError(
                f"The plain dump names roles that the target lacks or may not act for: {', '.join(missing)}.",
                code="missing_roles",
                permanent=True,
                hint="Create these roles on the target, or make backups in the custom format.",
            )
        options += ["--no-owner", "--no-privileges"]
        notes.append(
            "Owners and rights were left out: the target lacks, or this user may not act for, "
            f"{', '.join(missing)}. Everything belongs to the restoring user."
        )
    here = {name for (name,) in session.rows("SELECT spcname FROM pg_catalog.pg_tablespace")}
    if spaces - here:
        options.append("--no-tablespaces")
        notes.append(f"Tablespaces were left out: the target lacks {', '.join(sorted(spaces - here))}.")
    return tuple(options), tuple(notes)


def _schemas(session: Session, entries: Sequence[Entry], manifest: Mapping[str, Any]) -> list[str]:
    """A dump of selected tables does not create their schemas."""
    created = {entry.tag for entry in entries if entry.kind == "SCHEMA"}
    wanted = {entry.namespace for entry in entries if entry.namespace} - created
    selection = manifest.get("selection", {})
    if not entries and (selection.get("include") or selection.get("exclude")):
        wanted = set(manifest.get("schemas", ())) if selection.get("include") else set()
    names = sorted(wanted - {"public", "pg_catalog"})
    return [session.value("SELECT format('CREATE SCHEMA IF NOT EXISTS %%I;', %s)", [name]) for name in names]


def _comparison(counts: Mapping[str, int]) -> str:
    """SQL that fails unless every counted table holds as many rows as the backup says."""
    checks = "".join(
        f"""
  SELECT count(*) INTO found FROM ONLY {name};
  IF found <> {int(count)} THEN
    RAISE EXCEPTION 'backupsite: %', pg_catalog.format('%s holds %s rows, the backup holds %s',
      {_literal(name)}, found, {int(count)});
  END IF;"""
        for name, count in counts.items()
    )
    quote = f"$backupsite_{secrets.token_hex(8)}$"  # that no table can be called
    return f"SET row_security = off;\nDO {quote}\nDECLARE found bigint;\nBEGIN{checks}\nEND {quote};\n"


def _literal(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
