"""One answer: its records one after the other, and what leads to the next page."""

import json
from collections.abc import Callable, Iterator

from databases.engines.http_service.answer import Answer
from databases.engines.http_service.cutting import Cutter, on_one_line
from databases.engines.http_service.faults import incomplete, not_json
from databases.engines.http_service.options import HttpOptions, path_of
from jobs.errors import BackupError

Path = tuple[str, ...]


class Page:
    """`records()` gives each record's JSON on one line. Every block of the body passes `counted`.

    After its end, `cursor` is the next cursor, empty when the answer has none (or null, false, an empty text), and
    `has_cursor` says whether anything was at its path. `has_place` says whether there was an object that could hold it;
    null in place of one, or of one around it, is as good: the service says that nothing follows.
    """

    def __init__(self, answer: Answer, options: HttpOptions, counted: Callable[[bytes], bytes]) -> None:
        self.cursor = ""
        self.has_cursor = self.has_place = False
        self._answer = answer
        self._records_path: Path = path_of(options.records_path)
        self._cursor_path: Path = path_of(options.cursor_path) if options.pagination in ("cursor", "link") else ()
        self._found = False
        self._cutter = Cutter(lambda: counted(answer.read()), answer.what)

    def records(self) -> Iterator[str]:
        """To the proven end of the answer. Raises BackupError: not_json, incomplete_body, no_records,
        record_too_large, record_too_deep."""
        self._answer.require_plain()
        first = self._cutter.peek()
        if not first and self._answer.is_json_lines:
            self._require_told_end()
        elif not first:
            raise not_json(f"{self._answer.what}: the answer is empty.")
        elif self._is_lines(first):
            yield from self._lines()
        else:
            yield from self._document(first)
        self._answer.read()  # the end of the body, if it has not been seen yet

    def _is_lines(self, first: str) -> bool:
        if self._answer.is_json_lines:
            if self._records_path:
                raise _no_records(f"{self._answer.what}: the answer is lines of JSON.", "Leave records_path empty.")
            return True
        return first == "{" and not self._records_path and not self._answer.is_json

    def _lines(self) -> Iterator[str]:
        self._require_told_end()
        while self._cutter.peek():
            yield on_one_line(self._cutter.value())
            self._cutter.require_line_end()

    def _document(self, first: str) -> Iterator[str]:
        if first not in "[{":
            raise not_json(f"{self._answer.what}: the answer is no list or object of JSON.")
        yield from self._at((), first)
        if self._cutter.peek():
            raise not_json(f"{self._answer.what}: something follows the end of the JSON.")
        if not self._found:
            raise _no_records(
                f"{self._answer.what}: there is no list at {'.'.join(self._records_path)}.",
                "Set records_path to where the list is in the answer, for example data.items.",
            )

    def _at(self, here: Path, first: str) -> Iterator[str]:
        """What begins with `first` at this path: the list, or an object around it."""
        if here == self._records_path:
            yield from self._list(first)
        elif first == "{":
            yield from self._object(here)
        else:
            raise _no_records(
                f"{self._answer.what}: there is no object at {'.'.join(here) or 'the top'}.",
                "Correct records_path: the way to the list leads through objects only.",
            )

    def _object(self, here: Path) -> Iterator[str]:
        self._cutter.take("{")
        self.has_place = self.has_place or here == self._cursor_path[:-1]
        if self._cutter.peek() == "}":
            self._cutter.take("}")
            return
        while True:
            if self._cutter.peek() not in ('"', ""):
                raise not_json(f"{self._answer.what}: the answer is no JSON.")
            child = (*here, json.loads(self._cutter.value()))
            self._cutter.take(":")
            first = self._cutter.peek()
            if child == self._records_path or (first == "{" and self._leads_on(child)):
                yield from self._at(child, first)
            else:
                self._take_beside(child)
            if self._cutter.take(",}") == "}":
                return

    def _leads_on(self, path: Path) -> bool:
        return self._leads_to_cursor(path) or _is_before(path, self._records_path)

    def _leads_to_cursor(self, path: Path) -> bool:
        return _is_before(path, self._cursor_path)

    def _take_beside(self, path: Path) -> None:
        raw = self._cutter.value()
        if path == self._cursor_path:
            self.has_cursor = True
            # A number is kept as it is written: it may be larger than any reader's.
            cursor = json.loads(raw) if raw.startswith('"') else raw
            if raw[0] in "[{":
                raise BackupError(
                    f"{self._answer.what}: what is at cursor_path is neither a text nor a number.",
                    code="bad_cursor",
                    permanent=True,
                )
            self.cursor = "" if raw in ("null", "false") else cursor
        elif raw == "null" and self._leads_to_cursor(path):
            self.has_place = True

    def _list(self, first: str) -> Iterator[str]:
        self._found = True
        if first == "n" and self._cutter.value() == "null":
            return  # how some services write an empty list
        if first != "[":
            raise _no_records(
                f"{self._answer.what}: what is at {'.'.join(self._records_path) or 'the top'} is no list.",
                "Set records_path to where the list is, for example data.items; or have the service answer "
                "application/x-ndjson for one record a line.",
            )
        self._cutter.take("[")
        if self._cutter.peek() == "]":
            self._cutter.take("]")
            return
        while True:
            yield on_one_line(self._cutter.value())
            if self._cutter.take(",]") == "]":
                return

    def _require_told_end(self) -> None:
        if not self._answer.end_is_told:
            raise incomplete(
                f"{self._answer.what}: lines of JSON came with neither a length nor chunks, so that nobody can tell "
                "whether all have come."
            )


def _is_before(path: Path, goal: Path) -> bool:
    return len(goal) > len(path) and goal[: len(path)] == path


def _no_records(message: str, hint: str) -> BackupError:
    return BackupError(message, code="no_records", permanent=True, hint=hint)
