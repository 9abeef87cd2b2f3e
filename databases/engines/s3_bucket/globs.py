"""Globs over whole keys: `*` and `?` cross no slash, `**` does, and a glob that ends with a slash means what is below.

A pattern is matched by an automaton that is made while it is used, never by going back over the text: a key of 1,024
bytes costs 1,024 steps whatever the pattern.
"""

from collections.abc import Sequence

LONGEST = 1024  # bytes of a key, as S3 has it
MOST_PATTERNS = 100
_MOST_KNOWN = 20_000  # steps kept in memory; they are found again when dropped
_ONE, _STAR, _ALL = "?", "*", "**"

_Token = tuple[str, str]  # ("", character) or (one of the three, "")


def faults_of_patterns(patterns: Sequence[str]) -> str:
    """Why these cannot be globs; empty when they can."""
    if len(patterns) > MOST_PATTERNS:
        return f"At most {MOST_PATTERNS} globs."
    if any(not pattern or len(pattern) > LONGEST for pattern in patterns):
        return f"A glob is a text of 1 to {LONGEST} characters."
    return ""


class Glob:
    """One pattern, compiled."""

    def __init__(self, pattern: str) -> None:
        self._tokens = _tokens(pattern + "**" if pattern.endswith("/") else pattern)
        self._known: dict[tuple[int, str], int] = {}
        self._start = self._closed(1)
        self._end = 1 << len(self._tokens)

    def matches(self, key: str) -> bool:
        known, places = self._known, self._start
        for character in key:
            following = known.get((places, character))
            if following is None:
                following = self._step(places, character)
            if not following:
                return False
            places = following
        return bool(places & self._end)

    def _step(self, places: int, character: str) -> int:
        """From a set of places in the pattern (bits) to the set after one more character."""
        following = 0
        for place, (kind, literal) in enumerate(self._tokens):
            if not places >> place & 1:
                continue
            if kind == _ALL or (kind == _STAR and character != "/"):
                following |= 1 << place
            elif (kind == _ONE and character != "/") or (not kind and literal == character):
                following |= 1 << place + 1
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        result = self._known[places, character] = self._closed(following)
        return result

    def _closed(self, places: int) -> int:
        """A star also stands for nothing."""
        for place, (kind, _) in enumerate(self._tokens):
            if kind in (_STAR, _ALL) and places >> place & 1:
                places |= 1 << place + 1
        return places


class Selection:
    """Which keys are wanted: one of `include` (or all, when empty) and none of `exclude`."""

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self.include, self.exclude = tuple(include), tuple(exclude)
        self._include = [Glob(pattern) for pattern in include]
        self._exclude = [Glob(pattern) for pattern in exclude]

    def matches(self, key: str) -> bool:
        if self._include and not any(glob.matches(key) for glob in self._include):
            return False
        return not any(glob.matches(key) for glob in self._exclude)

    def prefix(self, prefix: str) -> str:
        """What every wanted key below `prefix` begins with: `prefix` itself, or longer. It shortens a listing."""
        common = _common([_literal_head(pattern) for pattern in self.include])
        return common if common.startswith(prefix) else prefix


def _tokens(pattern: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(pattern):
        run = len(pattern) - position - len(pattern[position:].lstrip("*"))
        if run:
            tokens.append((_ALL if run > 1 else _STAR, ""))
        else:
            tokens.append((_ONE, "") if pattern[position] == "?" else ("", pattern[position]))
        position += run or 1
    return tokens


def _literal_head(pattern: str) -> str:
    return pattern[: min((pattern.index(sign) for sign in "*?" if sign in pattern), default=len(pattern))]


def _common(heads: list[str]) -> str:
    """The longest beginning that all share."""
    first, last = min(heads, default=""), max(heads, default="")
    length = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[:length]
