"""What a comparison finds, with no more of it kept than a report shows."""

from collections import Counter
from typing import Any

from databases.engines.proof import MAX_DIFFERENCES, Comparison, Difference


class Findings:
    def __init__(self) -> None:
        self._checked: Counter[str] = Counter()
        self._differences: list[Difference] = []
        self._total = 0
        self._notes: list[str] = []

    def compare(self, kind: str, name: str, expected: Any, found: Any) -> bool:
        """Counts one more thing that was compared; whether it is as expected."""
        self._checked[kind] += 1
        if expected == found:
            return True
        self.differ(kind, name, expected, found)
        return False

    def differ(self, kind: str, name: str, expected: Any, found: Any) -> None:
        """A difference within what has been counted already."""
        self._total += 1
        if len(self._differences) < MAX_DIFFERENCES:
            self._differences.append(Difference(kind, name, expected, found))

    def note(self, text: str) -> None:
        self._notes.append(text)

    def comparison(self, *, server_version: str) -> Comparison:
        return Comparison(
            checked=dict(self._checked),
            differences=tuple(self._differences),
            total=self._total,
            server_version=server_version,
            notes=tuple(self._notes),
        )
