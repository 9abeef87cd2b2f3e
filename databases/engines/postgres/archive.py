"""The head of a pg_dump custom archive: its header and table of contents (TOC), read exactly.

The format is that of pg_backup_archiver.c and pg_backup_custom.c, archive versions 1.14 (PostgreSQL 12) to 1.16
(PostgreSQL 17 and 18): integers are a sign byte and little-endian bytes, strings a length (-1 is NULL) and bytes.
"""

import re
from dataclasses import dataclass

from jobs.errors import BackupError

MAGIC = b"PGDMP"
CUSTOM = 1
OLDEST, NEWEST = (1, 14), (1, 16)


class Short(Exception):
    """More bytes are needed."""


@dataclass(frozen=True)
class Entry:
    """One object. `kind` is pg_dump's word (TABLE, TABLE DATA, INDEX...); `has_data`: a data block may follow."""

    id: int
    kind: str
    tag: str
    namespace: str
    owner: str
    tablespace: str
    has_data: bool
    dependencies: tuple[int, ...]
    line: str


@dataclass(frozen=True)
class Head:
    """`length` is where the data blocks begin."""

    database: str
    server_version: str
    tool_version: str
    entries: tuple[Entry, ...]
    length: int

    @property
    def tool_major(self) -> int:
        return major_of(self.tool_version)


def major_of(version: str) -> int:
    """`15.18 (Debian ...)` and `19beta1` -> 15 and 19; 0 when there is no number."""
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0


class _Cursor:
    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data
        self.at = len(MAGIC)
        self.int_size = 4

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise Short
        self.at += count
        return bytes(self.data[self.at - count : self.at])

    def integer(self) -> int:
        raw = self.take(1 + self.int_size)
        value = int.from_bytes(raw[1:], "little")
        return -value if raw[0] else value

    def text(self) -> str | None:
        length = self.integer()
        return None if length < 0 else self.take(length).decode("utf-8", "replace")


def read_head(data: bytes | bytearray) -> Head:
    """Raises Short when `data` ends before the TOC does, and BackupError(code="structure") when it is not one."""
    if len(data) < len(MAGIC) + 6:
        raise Short
    if data[: len(MAGIC)] != MAGIC:
        raise BackupError("This is not a pg_dump archive: it does not begin with PGDMP.", code="structure")
    cursor = _Cursor(data)
    major, minor, _revision, cursor.int_size, offset_size, layout = cursor.take(6)
    version = (major, minor)
    if not OLDEST <= version <= NEWEST or layout != CUSTOM or cursor.int_size not in (4, 8):
        raise BackupError(f"pg_dump archives of version {major}.{minor} are not known.", code="structure")
    if version >= (1, 15):
        cursor.take(1)  # compression
    else:
        cursor.integer()
    for _ in range(7):  # when it was made
        cursor.integer()
    database, server, tool = (cursor.text() or "" for _ in range(3))
    count = cursor.integer()
    entries = tuple(_entry(cursor, version, offset_size) for _ in range(count))
    return Head(database, server, tool, entries, cursor.at)


def _entry(cursor: _Cursor, version: tuple[int, int], offset_size: int) -> Entry:
    number, has_data = cursor.integer(), cursor.integer()
    table_oid, oid, tag, kind = (cursor.text() or "" for _ in range(4))
    cursor.integer()  # section
    for _ in range(3):  # definition, drop and copy statements
        cursor.text()
    namespace, tablespace, _access_method = (cursor.text() or "" for _ in range(3))
    if version >= (1, 16):
        cursor.integer()  # relkind
    owner = cursor.text() or ""
    cursor.text()  # with OIDs
    dependencies = []
    while (dependency := cursor.text()) is not None:
        if not dependency.isdecimal():
            raise BackupError("The archive's table of contents is damaged.", code="structure")
        dependencies.append(int(dependency))
    cursor.take(1 + offset_size)  # where the data is: unknown in a stream
    return Entry(
        id=number,
        kind=kind,
        tag=tag,
        namespace=namespace,
        owner=owner,
        tablespace=tablespace,
        has_data=bool(has_data),
        dependencies=tuple(dependencies),
        line=f"{number}; {table_oid} {oid} {kind} {namespace or '-'} {tag} {owner}".replace("\n", " "),
    )
