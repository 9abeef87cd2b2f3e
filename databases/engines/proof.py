"""What a drill asks of an engine and is told by it: a scratch target, a comparison, answers to assertions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobs.errors import BackupError

if TYPE_CHECKING:
    from databases.engines.base import Engine, Guard

MAX_DIFFERENCES = 100


@dataclass(frozen=True)
class ScratchRequest:
    """A throw-away target to make.

    `name` is unique, of lower-case letters, digits and `_`, at most 60: what is made bears it and nothing else does.
    `server` is an engine of the same kind on which it may be made; None asks for what the engine can make by itself.
    `manifest` is what the backup was stored with (its server's version, its size).
    """

    name: str
    guard: "Guard"
    manifest: Mapping[str, Any]
    server: "Engine | None" = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """One thing that is not as the manifest says. `kind` is a word like `rows`, `row_hash`, `table`, `index`.

    `expected` and `found` are JSON-serialisable; None stands for what is not there.
    """

    kind: str
    name: str
    expected: Any
    found: Any


@dataclass(frozen=True)
class Comparison:
    """`checked` counts what was compared, by kind. `differences` are the first ones, `total` is how many there are.

    `notes` say what could not be compared, and why: a manifest of an older version, a count the dump did not take.
    """

    checked: Mapping[str, int]
    differences: tuple[Difference, ...] = ()
    total: int = 0
    server_version: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mask:
    """What a restore does to a column before anybody can read it. `method` is `null`, `fixed`, `hash` or `fake`.

    `value` is the fixed value, or what kind of thing is made up (`name`, `email`, `phone`, `text`).
    """

    item: str
    column: str
    method: str
    value: str = ""


def unanswerable(message: str) -> BackupError:
    """An assertion that is none, or that what was restored cannot answer."""
    return BackupError(message, code="assertion", permanent=True, hint="Correct the assertion.")
