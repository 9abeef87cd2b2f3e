"""What an engine promises. Plain Python: no Django, no REST framework, no Celery.

An engine knows how to check, list, dump and restore one kind of Database. It never stores, compresses, encrypts,
schedules or retries: it hands out a strict stream of plain bytes, and takes one back.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from databases.engines.proof import Comparison, Mask, ScratchRequest
from jobs.errors import BackupError


@dataclass(frozen=True)
class Connection:
    """Where a Database is and who we are there. `password` is a secret."""

    host: str = ""
    port: int | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    database_name: str = ""


@dataclass(frozen=True)
class CheckReport:
    """The outcome of a connection check. `error` and `hint` are empty when `ok`."""

    ok: bool
    latency_ms: float | None = None
    server_version: str = ""
    tool_version: str = ""
    warnings: tuple[str, ...] = ()
    error: str = ""
    code: str = ""
    hint: str = ""


@dataclass(frozen=True)
class InventoryItem:
    """One table, collection or prefix. `rows` is the server's own estimate, None where it has none; `size` is bytes."""

    name: str
    kind: str
    rows: int | None = None
    size: int | None = None


@dataclass(frozen=True)
class Inventory:
    """What a full backup would hold. `size` is the server's own figure in bytes, before compression."""

    items: tuple[InventoryItem, ...]
    size: int | None = None


class Guard(Protocol):
    """How a running job talks to its engine and is talked to.

    `check()` raises when the job must stop (cancelled, lease lost, stalled, too long); engines call it between blocks.
    `on_abort(f)` registers `f` to be called from another thread at that moment (kill the process group) and returns
    a function that takes the registration back. `log(message)` adds a line to the job's log, secrets never.
    """

    def check(self) -> None: ...
    def on_abort(self, callback: Callable[[], None]) -> Callable[[], None]: ...
    def log(self, message: str) -> None: ...


class Readable(Protocol):
    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fills the buffer until the end; a short count is a verified end, otherwise it raises `BackupError`."""
        ...


@dataclass(frozen=True)
class Parent:
    """The backup that an incremental builds on: its manifest, and its index when the engine gave one."""

    manifest: Mapping[str, Any]
    open_index: Callable[[], AbstractContextManager[Readable]] | None = None


@dataclass(frozen=True)
class StoredPlace:
    """Where artefacts are stored in S3. `prefix` is empty, or ends with a slash."""

    endpoint_url: str
    bucket: str
    prefix: str


@dataclass(frozen=True)
class DumpRequest:
    """What to dump. `include`/`exclude` are the engine's own names (`schema.table` patterns for postgres).

    `type` is `full`, `selective` or `incremental`; `parent` comes with `incremental`. `lock_timeout_s` bounds waiting
    for a lock on the server. `leave_out` are the site's own destinations: what is stored there is never backed up.
    `index(line)` takes the lines of the index, UTF-8 with their line break, as the dump comes to them: an engine that
    makes incrementals writes there what the next one has to compare with. It is stored beside the artefact and is
    readable without the private key.
    """

    guard: Guard
    type: str = "full"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    lock_timeout_s: int = 60
    parent: Parent | None = None
    leave_out: tuple[StoredPlace, ...] = ()
    index: Callable[[bytes], None] | None = None


class Dump(Protocol):
    """A running dump.

    `readinto(buffer)` fills the buffer with plain bytes until it is full or the stream ends, and returns the count.
    A short count or 0 is a verified end: every child process ended with status 0, otherwise it raises `BackupError`.
    `manifest` is complete after that end: JSON-serialisable facts (server_version, tool_version, format, counts,
    `file_count` where the artefact holds files...).
    """

    extension: str  # of the plain stream, with its dot: ".dump", ".sql"
    bytes_total_estimate: int | None

    def abort(self) -> None:
        """Wakes a `readinto` that waits in another thread: it raises soon. Harmless after the end."""

    def readinto(self, buffer: bytearray | memoryview) -> int: ...

    @property
    def manifest(self) -> Mapping[str, Any]: ...


class StructureCheck(Protocol):
    """Fed the plain stream while it flows; `finish` says whether the whole is one complete archive."""

    def feed(self, block: memoryview) -> None: ...

    def finish(self) -> Mapping[str, Any]:
        """Facts found (JSON-serialisable). Raises BackupError(code="structure", permanent=False) when not whole."""
        ...


class Source(Protocol):
    """One artefact's plain stream for a restore, already decrypted and decompressed, with its manifest.

    `readinto` fills the buffer until EOF (a short count is the end) and raises `BackupError` when the artefact is
    truncated or does not match its digests, before it reports that end. It is opened by the first `readinto`, so a
    long chain costs no more than one source at a time when it is read one after the other.
    """

    manifest: Mapping[str, Any]

    def readinto(self, buffer: bytearray | memoryview) -> int: ...

    def open_index(self) -> AbstractContextManager[Readable]:
        """The index stored beside the artefact. Raises BackupError(code="no_index") when there is none."""
        ...


@dataclass(frozen=True)
class RestoreRequest:
    """`drop_existing` replaces what the target holds; without it a target that holds something is refused.

    `include` names what to restore (empty: everything). `delete_extra` removes what the target holds and the backup
    does not, for engines that support it. `leave_out` are the site's own destinations: what is stored there is never
    overwritten or deleted. `masking` is done before anybody else can read what was restored; when it fails, the restore
    fails and leaves nothing that could be read. `note_uploads` is given what `abort_uploads` takes, each time that an
    upload has begun: all that are open then.
    """

    guard: Guard
    drop_existing: bool = False
    include: tuple[str, ...] = ()
    delete_extra: bool = False
    leave_out: tuple[StoredPlace, ...] = ()
    masking: tuple[Mask, ...] = ()
    note_uploads: Callable[[dict[str, str]], object] = dict  # forgets them


@dataclass(frozen=True)
class RestoreReport:
    """What a restore did. `notes` say what differs from the source (ownership left out and the like).

    `masked` are the rows or documents of each column that was masked, by `item.column`.
    """

    tool_version: str
    counts: Mapping[str, int | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    masked: Mapping[str, int] = field(default_factory=dict)


def secret(help: str = "", **kwargs: Any) -> Any:
    """A dataclass field of an Options class that holds a secret: encrypted at rest, write-only in the API."""
    return field(repr=False, metadata={"secret": True, "help": help}, **kwargs)


class Engine(ABC):
    """One kind of Database. Instances are cheap and hold no connection; every method opens what it needs."""

    kind: ClassVar[str]
    label: ClassVar[str]
    about: ClassVar[str] = ""  # what it backs up, in one line for whoever chooses an engine
    item: ClassVar[str] = "item"  # what a request may choose from a backup, in the singular: table, collection, key
    example: ClassVar[str] = ""  # such a choice
    unit: ClassVar[str] = "entry"  # what the manifest's counts count, in the singular: row, document, object
    Options: ClassVar[type]  # frozen dataclass; see `secret`
    connection_fields: ClassVar[frozenset[str]]  # which fields of Connection it uses
    atomic: ClassVar[bool] = False  # a restore that fails leaves its target as it was
    merges: ClassVar[bool] = False  # a restore replaces what is in an item one by one: a prefix's keys, records
    needs_index: ClassVar[bool] = False  # whether its incrementals compare with the index of their parent
    by_hand_files: ClassVar[bool] = False  # whether its stock command leaves files where it runs
    default_port: ClassVar[int | None] = None  # what an empty port means
    tools_hint: ClassVar[str] = ""  # how to install the tools where `tools` finds none
    supports: ClassVar[
        frozenset[str]
    ]  # of {"full", "selective", "incremental", "restore", "delete_extra", "drill", "masking"}

    def __init__(self, connection: Connection, options: Any, settings: Mapping[str, Any] | None = None) -> None:
        """`options` is an `Options`; `settings` are the host's (tool folders), not the Database's."""
        self.connection = connection
        self.options = options
        self.settings = settings or {}

    @classmethod
    def tools(cls, settings: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Versions of the tools found on this host, a text each; None for an engine that needs none."""
        return None

    @classmethod
    @abstractmethod
    def validate(cls, connection: Connection, options: Any) -> dict[str, str]:
        """Faults of a configuration by field name (`host`, `options.sslmode`), empty when none. Talks to nobody."""

    @classmethod
    def address(cls, connection: Connection, options: Mapping[str, Any]) -> str:
        """Where the Database is, short, for lists. `options` are as stored, without the secret ones."""
        host = f"{connection.host}:{connection.port}" if connection.port else connection.host
        return f"{host}/{connection.database_name}" if connection.database_name else host

    @classmethod
    def collections(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Of a service: the names of what it hands out, which a request may choose from; none for other kinds.

        `options` are as stored, without the secret ones.
        """
        return ()

    @classmethod
    def records(cls, plain: bytes, manifest: Mapping[str, Any]) -> list[Any]:
        """Of a service: the records in a small archive, as JSON values. Raises ValueError for what is no JSON.

        Raises BackupError(code="unsupported") where an archive holds no records.
        """
        raise BackupError(
            f"{cls.label} backups hold no records that could be shown.",
            code="unsupported",
            permanent=True,
            hint="Download or restore the backup.",
        )

    @classmethod
    def require_restorable(cls, manifest: Mapping[str, Any], *, include: Sequence[str], delete_extra: bool) -> None:
        """Raises BackupError(code="unsupported") for a restore that this archive's format cannot give."""
        if delete_extra and "delete_extra" not in cls.supports:
            raise BackupError(
                f"{cls.label} restores cannot delete what the backup does not hold.",
                code="unsupported",
                permanent=True,
                hint="Use drop_existing to replace what the target holds.",
            )

    @classmethod
    def by_hand(cls, manifest: Mapping[str, Any], archive: str) -> str:
        """The stock command that takes the plain archive: from the file `archive` (a shell word), else from stdin."""
        return f"cat {archive}".rstrip()

    @classmethod
    def by_hand_onto(cls) -> tuple[list[str], list[str]]:
        """Shell commands before and after the one that takes an incremental, where its parents lie already."""
        return [], []

    @classmethod
    def empties(cls, manifest: Mapping[str, Any], *, include: Sequence[str]) -> bool:
        """Whether a restore with `drop_existing` removes also what the target holds and the backup does not."""
        return not include

    def continues(self, manifest: Mapping[str, Any]) -> bool:
        """Whether an incremental of this Database, as configured now, can build on a backup with this manifest."""
        return False

    @property
    def full_every(self) -> int:
        """How many incrementals a chain holds before the next one is made a full backup."""
        return 0

    @abstractmethod
    def check(self) -> CheckReport:
        """Connects and reports. An unreachable server is a report with `ok=False`, not an exception."""

    @abstractmethod
    def inventory(self) -> Inventory:
        """Raises BackupError when the server does not answer."""

    @abstractmethod
    def preflight(self, request: DumpRequest) -> None:
        """Raises BackupError before any byte flows when this dump cannot work (client too old, unsupported type)."""

    @abstractmethod
    def dump(self, request: DumpRequest) -> AbstractContextManager[Dump]:
        """Starts dumping. Leaving the context kills whatever still runs of it."""

    @abstractmethod
    def structure(self, manifest: Mapping[str, Any] | None = None) -> StructureCheck:
        """A cheap check for the stream of a running dump (`manifest` None), for in-flight use."""

    @abstractmethod
    def verify_structure(self, source: Source, guard: Guard) -> Mapping[str, Any]:
        """Reads a stored archive to its end with the stock tool where there is one; facts, or BackupError."""

    @abstractmethod
    def restore(self, chain: Sequence[Source], request: RestoreRequest) -> RestoreReport:
        """Puts a chain (one full and its incrementals, oldest first) back. Fails loudly on the first error."""

    # What drills ask. An engine that says "drill" in `supports` gives all of it.

    @classmethod
    def scratch(cls, request: ScratchRequest) -> AbstractContextManager["Engine"]:
        """A throw-away target: an engine that `restore` can fill. Leaving the context removes it, whatever happened.

        Raises BackupError(code="no_scratch") where none can be made: no server was given and the engine has none.
        """
        raise _no_drills(cls)

    def abort_uploads(self, uploads: Mapping[str, str]) -> None:  # noqa: B027  most have none
        """Ends what a restore that was killed had noted by `note_uploads`; what is gone already is no error."""

    @classmethod
    def remove_scratch(cls, request: ScratchRequest) -> None:
        """Removes what a drill that was killed has left behind under this name; nothing there is no error."""
        raise _no_drills(cls)

    def compare(self, manifest: Mapping[str, Any], guard: Guard) -> Comparison:
        """What this Database holds, against the manifest of the backup that was restored into it."""
        raise _no_drills(type(self))

    @classmethod
    def assertion_fault(cls, query: Any) -> str:
        """What is wrong with the query of an assertion (JSON), in a sentence; empty when nothing is. Asks nobody."""
        raise _no_drills(cls)

    def evaluate(self, query: Any, guard: Guard) -> bool | int | float | None:
        """The answer to an assertion's query, without changing anything. Raises BackupError(code="assertion")."""
        raise _no_drills(type(self))

    @classmethod
    def mask_fault(cls, mask: Mask) -> str:
        """What is wrong with a masking rule, in a sentence; empty when nothing is. Asks nobody."""
        return f"{cls.label} restores mask nothing."


def _no_drills(engine: type[Engine]) -> BackupError:
    return BackupError(f"{engine.label} backups cannot be drilled.", code="unsupported", permanent=True)
