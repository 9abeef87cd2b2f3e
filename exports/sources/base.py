"""What a source of user data promises. Plain Python: no Django, no REST framework, no Celery.

A source knows how to ask others for the data of one public key. It never stores, packs or encrypts: it hands out
files, one after the other, each as blocks that are pulled.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from databases.engines.base import CheckReport, Connection, Guard


@dataclass(frozen=True)
class ReadRequest:
    """What to read. `pubkey` is 64 lower-case hex digits. `select` are collections as `chosen` names them; none of
    them means all.

    `parent` are the `facts` of the same source in the export that an incremental continues, None where there is none:
    then everything is read.
    """

    pubkey: str
    guard: Guard
    select: tuple[str, ...] = ()
    parent: Mapping[str, Any] | None = None


@dataclass
class Part:
    """One file. `blocks` can be pulled once, and ends only when the file is whole: anything else raises.

    `name` is relative, with forward slashes, unique within its source. `facts` (JSON-serialisable; `records` is how
    many lines a collection has) is complete when `blocks` has ended.
    """

    name: str
    blocks: Iterable[bytes]
    facts: dict[str, Any] = field(default_factory=dict)
    packed: bool = False  # compressed already: pictures and the like


class Reading(Protocol):
    """The parts, each used up before the next is asked for. `facts` is complete when the last one was used up.

    `facts` says what was asked, of whom, who did not answer, and what the next incremental continues from.
    """

    facts: dict[str, Any]

    def __iter__(self) -> Iterator[Part]: ...


class UserSource(ABC):
    """One source as it is configured. `settings` are the site's engine settings (egress, timeouts)."""

    kind: ClassVar[str]
    label: ClassVar[str]
    about: ClassVar[str]
    Options: ClassVar[type]  # a frozen dataclass; secret fields are marked as those of engines are
    connection_fields: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, connection: Connection, options: Any, settings: Mapping[str, Any]) -> None:
        self.connection, self.options, self.settings = connection, options, settings

    @classmethod
    @abstractmethod
    def validate(cls, connection: Connection, options: Any) -> dict[str, str]:
        """What is wrong with the values, by field (`options.url`); empty when nothing is."""

    @property
    @abstractmethod
    def collections(self) -> tuple[str, ...]:
        """What a user may select, by name."""

    def chosen(self, select: Iterable[str]) -> tuple[str, ...]:
        """The collections that these names mean; a name that means none of them is left out."""
        return tuple(dict.fromkeys(name for name in select if name in self.collections))

    @abstractmethod
    def check(self) -> CheckReport:
        """Whether it answers, without anybody's data."""

    @abstractmethod
    def read(self, request: ReadRequest) -> AbstractContextManager[Reading]:
        """Raises BackupError, at the latest before the end of a part is reported."""
