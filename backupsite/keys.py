"""The site's keys: from the environment, else files of mode 0600 in `<data>/keys` (mode 0700), made on first use."""

import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from backupsite import environment


def _private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def read_or_make(folder: Path, name: str, make: Callable[[], str]) -> str:
    """The key in the file, made once. Two processes that start at the same moment agree on one key.

    Raises ImproperlyConfigured when the folder can neither be read nor written.
    """
    path = folder / name
    try:
        _private_folder(folder.parent)
        _private_folder(folder)
        if not path.exists():
            _write_new(path, make() + "\n")
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"Cannot read or make the key {path}: {error.strerror}. "
            "Give BACKUPSITE_DATA_DIR a folder that this user may write."
        ) from error


def _write_new(path: Path, text: str) -> None:
    """`os.link` publishes a complete file and never replaces one that another process has made meanwhile."""
    handle, partial = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, path)
        except FileExistsError:
            pass
    finally:
        os.unlink(partial)


def secret_key(folder: Path) -> str:
    return environment.value("BACKUPSITE_SECRET_KEY") or read_or_make(folder, "secret_key", _random)


def jwt_key(folder: Path) -> str:
    return environment.value("BACKUPSITE_JWT_KEY") or read_or_make(folder, "jwt_key", _random)


def encryption_keys(folder: Path) -> list[str]:
    """Fernet keys, the first encrypts and all decrypt."""
    given = environment.items("BACKUPSITE_ENCRYPTION_KEYS")
    return given or read_or_make(folder, "encryption_keys", lambda: Fernet.generate_key().decode()).split()


def _random() -> str:
    return secrets.token_urlsafe(50)
