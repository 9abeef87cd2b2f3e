"""Cutting JSON values out of a text as it comes, each exactly as it was written.

Values are found, and proven to be JSON, by the scanner of Python's own json module; what is kept is their text. So
numbers of any size, escapes, half surrogate pairs and members named twice stay as they are, which no parser that makes
objects of them can promise (ijson, for one, reads half a pair as `?` and -0 as 0).
"""

import codecs
import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

from databases.engines.http_service.faults import incomplete, not_json
from jobs.errors import BackupError

LONGEST = 16 << 20  # characters of one value
_DIGITS = frozenset("0123456789")
_WORDS = ("true", "false", "null", "-")
_TAILS = frozenset({".", "e", "E", "e+", "e-", "E+", "E-"})  # behind the digits of a number that is cut
_NEAR_END = 16  # the scanner complains at most so far before the end of a text that is only cut
_BLANK = re.compile(r"[ \t\r\n]*")
_IN_LINE = re.compile(r"[ \t\r]*")
_BREAK = re.compile(r"[\r\n][ \t\r\n]*")


class _Constant(Exception):
    """NaN, Infinity: Python reads them, and JSON has none."""


def _refuse(name: str) -> NoReturn:
    raise _Constant(name)


# The values themselves are thrown away: digits need not become numbers (some cannot).
scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(
    parse_int=len, parse_float=len, parse_constant=_refuse
).raw_decode


def on_one_line(raw: str) -> str:
    """The same value without line breaks and what indents the lines: within a text of JSON there is no such break."""
    return _BREAK.sub("", raw) if "\n" in raw or "\r" in raw else raw


class Cutter:
    """Over the blocks that `pull` gives, UTF-8, empty at their verified end. `what` names them in messages."""

    def __init__(self, pull: Callable[[], bytes], what: str) -> None:
        self._pull = pull
        self._what = what
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("strict")
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is not blank, empty at the end."""
        while True:
            found = _BLANK.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more(1)

    def take(self, expected: str) -> str:
        """The next character, which has to be one of these."""
        found = self.peek()
        if not found:
            raise incomplete(f"{self._what}: the JSON ends in the middle.")
        if found not in expected:
            raise not_json(f"{self._what}: the answer is no JSON.")
        self._at += 1
        return found

    def value(self) -> str:
        """The text of the next value. Raises BackupError: incomplete_body, not_json, record_too_large."""
        self.peek()
        while True:
            end = self._scanned()
            if end is not None and self._is_whole(end):
                break
            if len(self._text) - self._at > LONGEST:
                raise self._too_large()
            if self._ended:
                raise incomplete(f"{self._what}: the JSON ends in the middle.")
            # Doubled each time, so that a long value is not scanned over and over.
            self._more(max(1, len(self._text) - self._at))
        if end - self._at > LONGEST:
            raise self._too_large()
        raw = self._text[self._at : end]
        self._at = end
        return raw

    def require_line_end(self) -> None:
        """After a value on a line of its own."""
        while True:
            found = _IN_LINE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                break
            if self._ended:
                return
            self._more(1)
        if self._text[self._at] != "\n":
            raise not_json(f"{self._what}: more than one value is on a line.")

    def _is_whole(self, end: int) -> bool:
        """A number may go on behind what has come: with a point, an exponent and its sign, and a digit."""
        if self._text[end - 1] not in _DIGITS or end + 3 <= len(self._text):
            return True
        return self._ended and self._text[end:] not in ("", *_TAILS)

    def _scanned(self) -> int | None:
        """Where the next value ends; None when the text ends first. Raises BackupError(code="not_json")."""
        try:
            return scan(self._text, self._at)[1]
        except json.JSONDecodeError as error:
            if not self._may_be_cut(error):
                raise not_json(f"{self._what}: the answer is no JSON ({error.msg}).") from error
            return None
        except _Constant as error:
            raise not_json(f"{self._what}: {error} is no JSON.") from error
        except RecursionError as error:
            raise BackupError(
                f"{self._what}: a record holds too many lists and objects within one another.",
                code="record_too_deep",
                permanent=True,
            ) from error

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether the scanner complains because the text ends here, rather than about what is there."""
        if error.msg.startswith("Unterminated string"):
            return True
        if not self._ended:
            return error.pos >= len(self._text) - _NEAR_END
        rest = self._text[error.pos :]
        return error.msg.startswith("Invalid \\u") or rest in _TAILS or any(word.startswith(rest) for word in _WORDS)

    def _more(self, wanted: int) -> None:
        """At least so many more characters, unless the end comes first."""
        parts = [self._text[self._at :]]
        self._text, self._at = "", 0
        while wanted > 0 and not self._ended:
            block = self._pull()
            self._ended = not block
            try:
                parts.append(self._decoder.decode(block, final=self._ended))
            except UnicodeDecodeError as error:
                if self._ended:
                    raise incomplete(f"{self._what}: the text ends within a character.") from error
                raise not_json(f"{self._what}: the answer is no UTF-8.") from error
            wanted -= len(parts[-1])
        self._text = "".join(parts)

    def _too_large(self) -> BackupError:
        return BackupError(
            f"{self._what}: one record is longer than {LONGEST >> 20} MiB.",
            code="record_too_large",
            permanent=True,
            hint="If this is the list of records itself, set records_path to it.",
        )
