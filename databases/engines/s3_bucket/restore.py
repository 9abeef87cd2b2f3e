"""Putting a chain back: each artefact is read once, the newest first, and each key is written once.

What a newer part of the chain replaced or deleted is known before an older part is read, so nothing is written that
would have to be taken back, and nothing of the target is deleted on the word of an incremental.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from databases.engines.base import Guard, RestoreReport, RestoreRequest, Source
from databases.engines.s3_bucket.client import TOOL_VERSION, connected
from databases.engines.s3_bucket.globs import Selection, faults_of_patterns
from databases.engines.s3_bucket.headers import arguments_of
from databases.engines.s3_bucket.objects import Object
from databases.engines.s3_bucket.options import S3Options
from databases.engines.s3_bucket.places import is_left_out
from databases.engines.s3_bucket.record import Record
from databases.engines.s3_bucket.seen import Seen, seen_keys
from databases.engines.s3_bucket.structure import damaged
from databases.engines.s3_bucket.target import Target
from databases.engines.s3_bucket.walk import Deleted, Voided, Walk
from databases.engines.s3_bucket.writer import Writer, writing
from jobs.errors import BackupError

PERMISSION_HINT = (
    "Allow these credentials to list the bucket, to write objects and to abort uploads there; to delete objects too "
    "where delete_extra is set."
)


def restore(
    options: S3Options, chain: Sequence[Source], request: RestoreRequest, record: Record | None = None
) -> RestoreReport:
    """S3 has no transaction: a restore that fails leaves what it has written so far, but never its last object, no
    unfinished upload, and nothing deleted. Every object was compared with the manifests before it reports success.
    """
    manifest = chain[-1].manifest
    _require_chain(chain)
    if fault := faults_of_patterns(request.include):
        raise BackupError(f"include: {fault}", code="invalid_selection", permanent=True)
    with (
        _telling(request.guard),
        connected(options, connections=options.parallel) as data,
        connected(options, connections=options.parallel) as control,
        writing(
            data=data,
            control=control,
            bucket=options.bucket,
            parallel=options.parallel,
            guard=request.guard,
            note=request.note_uploads,
        ) as writer,
        seen_keys() as seen,
    ):
        wanted = Selection(request.include)
        target = Target(
            data,
            options,
            source_prefix=str(manifest.get("prefix", "")),
            wanted=wanted,
            places=request.leave_out,
            log=request.guard.log,
            is_scratch=record is not None,
        )
        if not request.drop_existing:
            target.require_empty(writer.check)
        replay = Replay(target, writer, seen, wanted, remember_all=request.delete_extra, record=record)
        replay.run(chain)
        writer.flush()
        counts = {"objects": writer.written}
        if request.delete_extra:
            counts["deleted"] = target.delete_extra(
                covers=_covering(manifest), is_there=seen.is_there, do=writer.do, check=writer.check
            )
            writer.settle()
    return RestoreReport(tool_version=TOOL_VERSION, counts=counts, notes=replay.notes())


class Replay:
    """Reads a chain and writes its final state."""

    def __init__(
        self,
        target: Target,
        writer: Writer,
        seen: Seen,
        wanted: Selection,
        *,
        remember_all: bool,
        record: Record | None = None,
    ) -> None:
        self._target, self._writer, self._seen, self._wanted = target, writer, seen, wanted
        self._remember_all, self._record = remember_all, record
        self._differences: Counter[str] = Counter()
        self._left_out = 0
        self._met = 0

    def run(self, chain: Sequence[Source]) -> None:
        """Raises BackupError: nothing_matches for a choice that matches no object, broken_chain for a missing link."""
        for part in range(len(chain) - 1, -1, -1):
            self._read(chain[part], part)
        if self._wanted.include and not self._met:
            raise BackupError(
                "Nothing in the backup matches 'include'.",
                code="nothing_matches",
                permanent=True,
                hint="Globs match whole keys: images/** or **.jpg.",
            )
        held = chain[-1].manifest.get("state_objects")
        if not self._wanted.include and held not in (None, self._met):
            raise _broken(f"The chain gives {self._met} objects, and its last backup knew {held}.")

    def notes(self) -> tuple[str, ...]:
        found = [f"{count} objects: {difference}." for difference, count in sorted(self._differences.items())]
        if self._left_out:
            found.append("An object whose key is the backup's prefix itself was left out: the target has no prefix.")
        return tuple(found)

    def _read(self, source: Source, part: int) -> None:
        walk = Walk(source, self._writer.check)
        for event in walk:
            if not self._wanted.matches(event.key):
                continue
            if isinstance(event, Object):
                self._object(event, walk, part)
            elif isinstance(event, Deleted):
                self._remember(event.key, part, there=False)
            else:
                self._void(event, part)

    def _object(self, found: Object, walk: Walk, part: int) -> None:
        if self._seen.is_decided(found.key, part):
            return
        self._met += 1
        self._remember(found.key, part, there=True)
        key = self._target.key_of(found.key)
        if not key:
            self._left_out += 1
            return
        arguments, differences = arguments_of(found)
        self._differences.update(differences)
        self._writer.write(key, found.size, arguments, walk.readinto)
        if self._record:
            self._record.add(found, walk.sha256())

    def _void(self, event: Voided, part: int) -> None:
        if self._seen.is_decided(event.key, part):
            return
        self._met -= 1
        key = self._target.key_of(event.key)
        if not key:
            self._left_out -= 1
        elif self._writer.held_key == key:
            self._writer.drop()
        else:
            raise damaged("A void copy is not the member before the manifest that says so.")
        if self._record:
            self._record.drop(event.key)
        self._remember(event.key, part, there=False)

    def _remember(self, key: str, part: int, *, there: bool) -> None:
        """Nothing follows the oldest part that would have to know."""
        if (part or self._remember_all) and not self._seen.is_decided(key, part):
            self._seen.add(key, part, there=there)


def _covering(manifest: Mapping[str, Any]) -> Callable[[str], bool]:
    """Whether the backup looked at a key: what it did not look at is no extra."""
    narrowed = [manifest[name] for name in ("selection", "requested") if manifest.get(name)]
    selections = [Selection(one.get("include", ()), one.get("exclude", ())) for one in narrowed]
    left_out = tuple(manifest.get("left_out", ()))
    return lambda key: all(found.matches(key) for found in selections) and not is_left_out(key, left_out)


def _require_chain(chain: Sequence[Source]) -> None:
    types = [str(source.manifest.get("type", "full")) for source in chain]
    if types[0] == "incremental" or any(found != "incremental" for found in types[1:]):
        raise _broken(f"These backups are no chain of one full backup and its incrementals: {', '.join(types)}.")


def _broken(message: str) -> BackupError:
    return BackupError(message, code="broken_chain", permanent=True, hint="Restore another backup.")


@contextmanager
def _telling(guard: Guard) -> Iterator[None]:
    """A stop's own reason comes before what it caused; a refusal names the rights that a restore needs."""
    try:
        yield
    except BackupError as error:
        guard.check()
        if error.code == "permission":
            raise BackupError(error.message, code=error.code, permanent=True, hint=PERMISSION_HINT) from error
        raise
