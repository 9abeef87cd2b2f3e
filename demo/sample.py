"""What the demo sends out and back: a source with something in it and an empty target, on a server of its own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True)
class Comparison:
    """What was compared, in words, and what is not equal: nothing, when all came back."""

    found: str
    differences: list[str]


class Sample(ABC):
    """One engine's. `title` heads its lines on the screen; `source` and `target` are the ids of its two Databases."""

    title: ClassVar[str]
    source: ClassVar[str]
    target: ClassVar[str]
    incremental: ClassVar[bool] = False

    @abstractmethod
    def fill(self, *, percent: int = 100) -> str:
        """Makes the source and the empty target, the same each time; says in words what the source holds."""

    @abstractmethod
    def registration(self, identifier: str) -> dict[str, Any]:
        """The fields of `POST /api/databases` for the source or the target."""

    @abstractmethod
    def open(self, artefacts: list[Path], identity: Path) -> str:
        """Opens a chain of artefacts without Backupsite; says how, and what was in them. Raises RuntimeError."""

    @abstractmethod
    def compare(self) -> Comparison:
        """Of the source with the target."""

    @abstractmethod
    def access(self) -> str:
        """Where the source and target are, and how to log in: of a demo that is left running."""

    def change(self) -> str:
        """Changes the source of an incremental sample; says in words what."""
        return ""


def differences(kind: str, before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """What is not the same in both, in words."""
    return [
        f"{kind} {name}: {before.get(name, 'missing')} in the source, {after.get(name, 'missing')} in the target"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
