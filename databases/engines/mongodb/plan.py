"""How one restore is done: decided before the first byte is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from databases.engines.base import RestoreRequest
from databases.engines.mongodb import catalog
from databases.engines.mongodb.archive import Member
from databases.engines.mongodb.catalog import Collection, is_users_or_roles
from databases.engines.mongodb.selection import Selection, chosen
from databases.engines.mongodb.session import Client
from databases.engines.proof import Mask
from jobs.errors import BackupError

USERS_LEFT_OUT = (
    "Users and roles were left as they are on the target; to restore those of the backup, include "
    "admin.system.users and admin.system.roles."
)
OPLOG_LEFT_OUT = (
    "The oplog of the backup was not replayed, because it belongs to all databases under their own names: each "
    "collection is as it was when it was read, not all at one point in time."
)
NOT_RESTORED = "Masking rules for what was not restored had nothing to do: {names}."
OPLOG = ".oplog"
AUTH_VERSION = "admin.system.version"  # mongorestore asks it whether the users suit the server
SHOWN = 5


@dataclass(frozen=True)
class Plan:
    """`wanted` are the archive's own names of what is written, `members` those of the target; `counts` are documents
    by the latter. `arguments` are mongorestore's. `exact`: the target has to hold these counts in the end.

    Of those that are `expiring` the server may have removed some by then. `leftovers` are the target's collections
    that the backup lacks and that a complete replacement removes. `masking` are the rules by the archive's own names.
    """

    wanted: frozenset[str]
    arguments: tuple[str, ...]
    counts: Mapping[str, int]
    members: tuple[Collection, ...]
    leftovers: tuple[Collection, ...]
    expiring: frozenset[str]
    exact: bool
    notes: tuple[str, ...]
    masking: Mapping[tuple[str, str], tuple[Mask, ...]]


@dataclass(frozen=True)
class Into:
    """Where a restore goes: one `database`, or with an empty one each under its own name. `scratch` names the target
    of each database of the backup; what it does not name is not restored anywhere."""

    database: str = ""
    scratch: Mapping[str, str] | None = None


async def make_plan(
    client: Client, into: Into, members: Sequence[Member], manifest: Mapping[str, Any], request: RestoreRequest
) -> Plan:
    """Raises BackupError: nothing_matches, unsupported, target_not_empty."""
    wanted = _wanted(members, request.include)
    renamed = _renaming(into, wanted)
    targets = sorted({renamed.get(one.database, one.database) for one in wanted})
    there = [one for name in targets for one in await catalog.collections(client, name)]
    written = tuple(Collection(renamed.get(one.database, one.database), one.name, one.type) for one in wanted)
    if not request.drop_existing:
        _require_free(there, written, chosen_only=bool(request.include))
    oplog = bool(manifest.get("oplog"))
    replay = oplog and not (request.include or renamed or into.database or request.masking)
    masking, unmasked = _masking(request, wanted, renamed, partial=bool(request.include) or not _is_whole(manifest))
    names = {one.namespace for one in wanted} | ({OPLOG} if replay else set())
    names |= {AUTH_VERSION} if _has_users(wanted) else set()
    arguments: list[str] = []
    for source, target in renamed.items():
        arguments += [f"--nsFrom={source}.*", f"--nsTo={target}.*"]
    arguments += ["--drop"] if request.drop_existing else []
    arguments += ["--oplogReplay"] if replay else []
    notes = [USERS_LEFT_OUT] if _has_users(members) and not _has_users(wanted) else []
    notes += [OPLOG_LEFT_OUT] if oplog and not replay else []
    notes += [NOT_RESTORED.format(names=", ".join(unmasked))] if unmasked else []
    lacking = [one for one in there if one.namespace not in {own.namespace for own in written}]
    complete = request.drop_existing and not request.include and _is_whole(manifest)
    if lacking and request.drop_existing and not complete:
        notes.append(f"Collections that were not restored stayed as they are: {_some(lacking)}.")
    return Plan(
        wanted=frozenset(names),
        arguments=tuple(arguments),
        counts=_counts(manifest, wanted, renamed),
        members=written,
        leftovers=tuple(lacking) if complete else (),
        expiring=frozenset(
            own.namespace for own, one in zip(written, wanted, strict=True) if '"expireAfterSeconds"' in one.metadata
        ),
        exact=not replay,
        notes=tuple(notes),
        masking=masking,
    )


def _wanted(members: Sequence[Member], include: Sequence[str]) -> list[Member]:
    """Users, roles and the server's own configuration only by their exact names.

    Something is left to restore: of nothing a complete replacement would empty the target's database.
    """
    held = [Collection(one.database, one.name, one.type) for one in members if one.database]
    kept = {one.namespace for one in (chosen(held, Selection(include=tuple(include))) if include else held)}
    wanted = [one for one in members if one.namespace in kept and (not _is_own(one) or one.namespace in include)]
    if not wanted:
        raise BackupError(
            "The backup holds nothing but users, roles and the server's own configuration to restore here.",
            code="nothing_matches",
            permanent=True,
            hint="Name them in full with include (admin.system.users, admin.system.roles) if they are meant.",
        )
    return wanted


def _masking(
    request: RestoreRequest, wanted: Sequence[Member], renamed: Mapping[str, str], *, partial: bool
) -> tuple[dict[tuple[str, str], tuple[Mask, ...]], list[str]]:
    """Rules by collection, and those that name none; only a `partial` restore may lack what a rule names."""
    rules: dict[tuple[str, str], tuple[Mask, ...]] = {}
    unused = []
    for mask in request.masking:
        meant = [
            one for one in wanted if mask.item in (one.name, f"{renamed.get(one.database, one.database)}.{one.name}")
        ]
        for one in meant:
            if one.type != "collection":
                raise _unmaskable(f"{mask.item} is a {one.type}, and only collections are masked.")
            rules[one.stored] = (*rules.get(one.stored, ()), mask)
        if not meant and not partial:
            raise _unmaskable(f"The backup holds no collection {mask.item}.")
        unused += [] if meant else [f"{mask.item}.{mask.column}"]
    return rules, unused


def _unmaskable(message: str) -> BackupError:
    return BackupError(
        message,
        code="masking_failed",
        permanent=True,
        hint="Nothing was restored. Correct the target's masking rules, or leave the collection out with include.",
    )


def _is_own(one: Member) -> bool:
    return is_users_or_roles(one.database, one.name) or one.database in catalog.NEVER_DUMPED


def _has_users(members: Sequence[Member]) -> bool:
    return any(is_users_or_roles(one.database, one.name) for one in members)


def _renaming(into: Into, wanted: Sequence[Member]) -> dict[str, str]:
    sources, database = sorted({one.database for one in wanted}), into.database
    if into.scratch is not None:
        return _into_scratch(sources, into.scratch)
    if not database or sources in ([], [database]):
        return {}
    if len(sources) > 1:
        raise BackupError(
            f"The backup holds the databases {', '.join(sources)}, the target is the one database {database}.",
            code="unsupported",
            permanent=True,
            hint="Choose one of them with include (for example shop.*), or a target without database_name.",
        )
    return {sources[0]: database}


def _into_scratch(sources: Sequence[str], scratch: Mapping[str, str]) -> dict[str, str]:
    if unknown := [name for name in sources if name not in scratch]:
        raise BackupError(
            f"The archive holds the database {unknown[0]}, which the manifest does not name.",
            code="unsupported",
            permanent=True,
            hint="It was created as the dump began. Drill a newer backup.",
        )
    return {name: scratch[name] for name in sources}


def _require_free(there: Sequence[Collection], written: Sequence[Collection], *, chosen_only: bool) -> None:
    names = {one.namespace for one in written}
    held = [
        one
        for one in there
        if not is_users_or_roles(one.database, one.name) and (one.namespace in names or not chosen_only)
    ]
    if held:
        raise BackupError(
            f"The target holds {_some(held)}.",
            code="target_not_empty",
            permanent=True,
            hint="Restore into an empty database, or confirm with drop_existing that this may be dropped.",
        )


def _some(held: Sequence[Collection]) -> str:
    return ", ".join(one.namespace for one in held[:SHOWN]) + (", ..." if len(held) > SHOWN else "")


def _is_whole(manifest: Mapping[str, Any]) -> bool:
    selection = manifest.get("selection", {"include": ["?"]})
    return not (selection.get("include") or selection.get("exclude"))


def _counts(manifest: Mapping[str, Any], wanted: Sequence[Member], renamed: Mapping[str, str]) -> dict[str, int]:
    counts = manifest.get("counts", {})
    return {
        f"{renamed.get(one.database, one.database)}.{one.name}": counts[one.namespace]
        for one in wanted
        if one.type != "view" and counts.get(one.namespace) is not None
    }
