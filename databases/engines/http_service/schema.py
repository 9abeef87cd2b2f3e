"""JSON Schemas that an operator gives for records, and what is wrong with a record by them."""

import json
from collections.abc import Callable, Mapping
from typing import Any

MOST_DIGITS = 300  # of a whole number; a longer one is checked as a float


def schemas_of(text: str) -> dict[str, Any]:
    """By collection. Raises ValueError with a text for the operator."""
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("This is no JSON.") from error
    if not isinstance(found, dict) or not all(isinstance(one, (dict, bool)) for one in found.values()):
        raise ValueError('Write it as {"users": {...}}: a JSON Schema for each collection.')
    return found


def fault_of(text: str, collections: tuple[str, ...]) -> str:
    try:
        found = schemas_of(text)
    except ValueError as error:
        return str(error)
    if unknown := [name for name in found if name not in collections]:
        return f"There is no collection {unknown[0]!r}."
    for name, schema in found.items():
        if fault := _schema_fault(schema):
            return f"{name}: {fault}"
    return ""


def _schema_fault(schema: Any) -> str:
    # A quarter of a second that few starts need.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"this is no JSON Schema: {error.message[:200]}"
    return ""


def checker(schema: Any) -> Callable[[bytes], str]:
    """Says where and by which rule a record is wrong, empty when it is right. It never repeats a value."""
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    registry: Registry[Any] = Registry()  # which fetches nothing: a $ref leads nowhere but into the schema
    validator = Draft202012Validator(schema, registry=registry)

    def fault(record: bytes) -> str:
        try:
            error = next(validator.iter_errors(json.loads(record, parse_int=_number)), None)
        except Unresolvable as unresolvable:
            return f"$ref {unresolvable.ref} leads out of the schema"
        return f"{'.'.join(map(str, error.absolute_path)) or 'the record'}: {error.validator}" if error else ""

    return fault


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


def checkers(schemas: Mapping[str, Any]) -> dict[str, Callable[[bytes], str]]:
    return {name: checker(schema) for name, schema in schemas.items()}
