"""What an operator asserts of a restored backup: `{"name", "query", "operator", "value"}`, checked when it is saved."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from databases.engines import registry
from databases.engines.base import Engine
from jobs.errors import BackupError
from jobs.lease import Lease

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
MAX_ASSERTIONS = 50
MAX_NAME = 200
MAX_QUERY = 10_000
FIELDS = {"name", "query", "operator", "value"}


def assertions_fault(assertions: Any, *, engine: str) -> str:
    """What is wrong with them, in a sentence; empty when nothing is. Asks nobody."""
    if not isinstance(assertions, list) or len(assertions) > MAX_ASSERTIONS:
        return f"Give a list of at most {MAX_ASSERTIONS} assertions."
    faults = ((number, _fault(one, engine)) for number, one in enumerate(assertions, start=1))
    return next((f"Assertion {number}: {fault}" for number, fault in faults if fault), "")


def require_assertions(assertions: Sequence[Mapping[str, Any]], *, engine: str) -> None:
    """Raises BackupError(code="invalid_assertion")."""
    if fault := assertions_fault(list(assertions), engine=engine):
        raise BackupError(fault, code="invalid_assertion", permanent=True)


def evaluate(assertions: Sequence[Mapping[str, Any]], *, target: Engine, lease: Lease) -> list[dict[str, Any]]:
    """Each with what was found. One that cannot be answered has failed, and its `error` says why."""
    return [_evaluated(one, target, lease) for one in assertions]


def _evaluated(assertion: Mapping[str, Any], target: Engine, lease: Lease) -> dict[str, Any]:
    lease.check()
    outcome = {**assertion, "found": None, "ok": False, "error": ""}
    try:
        found = target.evaluate(assertion["query"], lease)
    except BackupError as error:
        lease.check()  # a run that is being stopped has no failing assertion
        return outcome | {"error": str(error)}
    if found is None:
        return outcome | {"error": "The answer is empty (null)."}
    return outcome | {"found": found, "ok": OPERATORS[assertion["operator"]](found, assertion["value"])}


def _fault(assertion: Any, engine: str) -> str:
    if not isinstance(assertion, dict) or set(assertion) != FIELDS:
        return "it must be a mapping with name, query, operator and value."
    name, value, query = assertion["name"], assertion["value"], assertion["query"]
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        return f"its name must be a line of at most {MAX_NAME} characters."
    if assertion["operator"] not in OPERATORS:
        return f"its operator must be one of {', '.join(OPERATORS)}."
    if not isinstance(value, bool | int | float) or value != value or abs(value) == float("inf"):
        return "its value must be a number, true or false."
    if isinstance(value, bool) and assertion["operator"] not in ("==", "!="):
        return "true and false are compared with == or !=."
    if len(str(query)) > MAX_QUERY:
        return f"its query must have at most {MAX_QUERY} characters."
    return registry.engine_class(engine).assertion_fault(query)
