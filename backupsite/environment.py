"""Settings from the environment: plain values, values in files (`NAME_FILE`), lists and numbers."""

import os
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def value(name: str, default: str = "") -> str:
    """`NAME`, else the contents of the file that `NAME_FILE` names (without its last newline), else the default."""
    if name in os.environ:
        return os.environ[name]
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return default
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE: cannot read {path}: {error.strerror}.") from error


def items(name: str, default: str = "") -> list[str]:
    """A comma-separated list; empty items are dropped."""
    return [item.strip() for item in value(name, default).replace("\n", ",").split(",") if item.strip()]


def paths(name: str) -> list[str]:
    """A comma-separated list of absolute paths; a folder's trailing slash stays."""
    found = items(name)
    for path in map(PurePosixPath, found):
        if not path.is_absolute() or ".." in path.parts:
            raise ImproperlyConfigured(f"{name} must hold absolute paths without '..', not {str(path)!r}.")
    return found


def origins(name: str) -> list[str]:
    """A comma-separated list of `https://host[:port]`, as browsers write them: small letters, no usual port."""
    return list(dict.fromkeys(_origin(name, text) for text in items(name)))


def _origin(name: str, text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ImproperlyConfigured(f"{name} must hold addresses such as https://backups.example.com, not {text!r}.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = port in (None, {"http": 80, "https": 443}[parts.scheme])
    return f"{parts.scheme}://{host}{'' if usual else f':{port}'}{parts.path.rstrip('/')}"


def number(name: str, default: int, *, minimum: int = 0) -> int:
    text = value(name, str(default))
    try:
        parsed = int(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {text!r}.") from error
    if parsed < minimum:
        raise ImproperlyConfigured(f"{name} must be at least {minimum}, not {parsed}.")
    return parsed


def choice(name: str, default: str, *, allowed: tuple[str, ...]) -> str:
    text = value(name, default)
    if text not in allowed:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(allowed)}, not {text!r}.")
    return text
