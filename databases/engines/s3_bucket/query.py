"""What an assertion about a bucket may ask."""

from typing import Any

FORM = 'Write it as {"key": "images/logo.png"} or as {"prefix": "images/"}.'


def fault_of(query: Any) -> str:
    if not isinstance(query, dict) or query.keys() not in ({"key"}, {"prefix"}):
        return FORM
    (name,) = query.values()
    if not isinstance(name, str) or ("key" in query and not name):
        return FORM
    try:
        name.encode()
    except UnicodeEncodeError:
        return "A key is text that UTF-8 can hold."
    return ""
