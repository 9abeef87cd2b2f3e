"""Options as they are stored and sent (names and JSON values) <-> the frozen dataclasses that say what there is."""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SHAPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
}
NOUNS = {"str": "A text", "int": "A whole number", "float": "A number", "bool": "true or false"}


@dataclass(frozen=True)
class OptionField:
    """One option, described well enough to make a serializer's or a form's field of it.

    `type` is `str`, `int`, `float`, `bool`, `list` (of texts) or `dict` (from text to text).
    """

    name: str
    type: str
    default: Any
    secret: bool = False
    choices: tuple[str, ...] = ()
    help: str = ""
    nullable: bool = False


def fields_of(options: type) -> list[OptionField]:
    """In the order of the dataclass."""
    hints = typing.get_type_hints(options)
    return [_option_field(field, hints[field.name]) for field in dataclasses.fields(options)]


def typed_options(
    fields: Iterable[OptionField], options: Mapping[str, Any], *, unknown: Callable[[str], str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values to make the dataclass with, and what is wrong with the others, by name. Shapes only are checked."""
    by_name = {field.name: field for field in fields}
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name, value in options.items():
        if name not in by_name:
            faults[name] = unknown(name)
            continue
        try:
            values[name] = _typed(by_name[name], value)
        except ValueError as error:
            faults[name] = str(error)
    return values, faults


def _option_field(field: "dataclasses.Field[Any]", hint: Any) -> OptionField:
    plain = [part for part in typing.get_args(hint) if part is not types.NoneType]
    nullable = typing.get_origin(hint) in (types.UnionType, typing.Union)
    kind = plain[0] if nullable else hint
    origin = typing.get_origin(kind) or kind
    default = field.default if field.default is not dataclasses.MISSING else None
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if origin is tuple:
        default = list(default or ())
    return OptionField(
        name=field.name,
        type={tuple: "list"}.get(origin, getattr(origin, "__name__", "str")),
        default=default,
        secret=bool(field.metadata.get("secret")),
        choices=field.metadata.get("choices", ()),
        help=field.metadata.get("help", ""),
        nullable=nullable,
    )


def _typed(field: OptionField, value: Any) -> Any:
    """Raises ValueError with a text for the operator, which never repeats the value: it may be a secret."""
    if value is None and field.nullable:
        return None
    if field.type == "list":
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise ValueError("A list of texts is wanted.")
        return tuple(value)
    if field.type == "dict":
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in (*value, *value.values())):
            raise ValueError("A mapping of texts is wanted.")
        return value
    if not isinstance(value, SHAPES[field.type]) or (isinstance(value, bool) and field.type != "bool"):
        raise ValueError(f"{NOUNS[field.type]} is wanted.")
    if field.choices and value not in field.choices:
        raise ValueError(f"One of {', '.join(field.choices)} is wanted.")
    return value
