"""Request bodies: JSON, bounded, and nothing in it that a database would choke on."""

import json
from collections.abc import Mapping
from math import isinf
from typing import IO, Any

from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

MAX_BODY = 1 << 20  # 1 MiB: PEM certificates and long table lists fit many times


class StrictJSONParser(BaseParser):
    """Refuses bodies over 1 MiB (413); NaN, doubled names, NUL, lone surrogates and absurd nesting (400)."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = stream.read(MAX_BODY + 1)
        if len(raw) > MAX_BODY:
            raise RequestDataTooBig(f"A body holds at most {MAX_BODY} bytes.")
        try:
            text = raw.decode("utf-8")
            parsed = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is not valid JSON: {error}") from error
        _refuse_bad_text(parsed)
        return parsed


def _finite(text: str) -> float:
    found = float(text)
    if isinf(found):
        raise ValueError("a number is out of range")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse_bad_text(parsed: Any) -> None:
    waiting = [parsed]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
            raise ParseError("Text may hold neither NUL nor half of a surrogate pair.")
