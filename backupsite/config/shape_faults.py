"""Faults of shape in config.yaml, in words of our own."""

from collections.abc import Callable, Iterator
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from backupsite.config.reading import Document, Expanded, Fault
from backupsite.config.shape import Schema, schema


def shape_faults(document: Document) -> Iterator[Fault]:
    """Every fault of shape; numbers and yes/no that came out of variables are turned into what they have to be."""
    wanted = schema()
    document.values = _coerced(document.values, wanted)
    for error in Draft202012Validator(wanted).iter_errors(document.values):
        yield from _told(document, error)


def _told(document: Document, error: ValidationError) -> Iterator[Fault]:
    """In our words: jsonschema's own repeat the value, which may be a secret."""
    path = tuple(error.absolute_path)
    wanted, given = cast(Any, error.validator_value), cast(Any, error.instance)
    if error.validator == "additionalProperties":
        known = cast(Any, error.schema)["properties"]
        told = f"This is not known here. Known are {', '.join(sorted(known))}."
        yield from (document.fault((*path, name), told) for name in given if name not in known)
    elif error.validator == "required":
        yield from (document.fault(path, f"{name} is missing.") for name in wanted if name not in given)
    else:
        yield document.fault(path, _message(str(error.validator), wanted, given))


def _message(rule: str, wanted: Any, value: object) -> str:
    messages: dict[str, Callable[[], str]] = {
        "type": lambda: f"{_kinds(wanted)} is wanted{_quoted(value, wanted)}.",
        "enum": lambda: f"One of {', '.join(map(str, wanted))} is wanted.",
        "minimum": lambda: f"At least {wanted} is wanted.",
        "maximum": lambda: f"At most {wanted} is wanted.",
        "minItems": lambda: "An empty list says nothing: use null for none.",
    }
    return messages.get(rule, lambda: "This has not the right shape.")()


NOUNS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


def _kinds(wanted: str | list[str]) -> str:
    kinds = [wanted] if isinstance(wanted, str) else wanted
    return " or ".join(NOUNS[kind] for kind in kinds).capitalize()


def _quoted(value: object, wanted: str | list[str]) -> str:
    plain = isinstance(value, int | float) and ("string" in wanted)
    return " (put it into quotes)" if plain else ""


def _coerced(value: Any, shape: Schema) -> Any:
    if isinstance(value, dict):
        known = shape.get("properties", {})
        for condition in shape.get("allOf", ()):
            [(name, wanted)] = condition["if"]["properties"].items()
            if wanted["const"] == value.get(name):
                known = known | condition["then"]["properties"]
        return {name: _coerced(item, known.get(name, {})) for name, item in value.items()}
    if isinstance(value, list):
        return [_coerced(item, shape.get("items", {})) for item in value]
    return _scalar(value, shape) if isinstance(value, Expanded) else value


def _scalar(text: Expanded, shape: Schema) -> Any:
    kinds = shape.get("type", ())
    if "integer" in kinds and text.removeprefix("-").isdecimal():
        return int(text)
    if "boolean" in kinds and text.lower() in ("true", "false", "yes", "no", "1", "0"):
        return text.lower() in ("true", "yes", "1")
    return str(text)
