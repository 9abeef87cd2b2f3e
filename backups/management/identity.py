"""An age secret key from a file: never an argument, which every user of the host could read."""

from pathlib import Path

from django.core.management.base import CommandParser

from jobs.errors import BackupError


def add_identity_argument(parser: CommandParser) -> None:
    parser.add_argument(
        "--identity-file", metavar="FILE", help="age secret key, as age-keygen writes it, for servers that hold none."
    )


def read_identity(path: str | None) -> str:
    """The first key of the file; "" without a file. Raises BackupError(code="wrong_key")."""
    if path is None:
        return ""
    try:
        lines = Path(path).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BackupError(f"Cannot read {path}: {reason}.", code="wrong_key", permanent=True) from error
    for line in lines:
        if line.startswith("AGE-SECRET-KEY-"):
            return line
    raise BackupError(
        f"{path} holds no age secret key.",
        code="wrong_key",
        permanent=True,
        hint="It is one line that starts with AGE-SECRET-KEY-1.",
    )
