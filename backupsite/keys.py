"""The site's keys: from the environment, else files of mode 0600 in `<data>/keys` (mode 0700), made on first use."""

import os
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
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
        with suppress(FileExistsError):
            os.link(partial, path)
    finally:
        os.unlink(partial)


def replace(path: Path, text: str) -> None:
    """Writes the whole file or leaves it as it was."""
    handle, partial = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def secret_key(folder: Path) -> str:
    return environment.value("BACKUPSITE_SECRET_KEY") or read_or_make(folder, "secret_key", _random)


def jwt_key(folder: Path) -> str:
    return environment.value("BACKUPSITE_JWT_KEY") or read_or_make(folder, "jwt_key", _random)


def encryption_keys(folder: Path) -> list[str]:
    """Fernet keys, the first encrypts and all decrypt."""
    given = environment.items("BACKUPSITE_ENCRYPTION_KEYS")
    return given or read_or_make(folder, "encryption_keys", lambda: Fernet.generate_key().decode()).split()


def age_identities(folder: Path) -> list[str]:
    """The age secret keys this server may restore with: given ones, and the site's own file while it is there.

    With no key given and none made yet, the site's own is made; removing `age_identity` and keeping `age_recipients`
    makes the server keyless: it goes on backing up, and a restore brings the key with its request.
    """
    given = environment.items("BACKUPSITE_AGE_IDENTITY")
    path, public = folder / "age_identity", folder / "age_recipients"
    if path.exists():
        return [*given, *_identity_lines(read_or_make(folder, path.name, _random))]
    if given or public.exists() or environment.items("BACKUPSITE_AGE_RECIPIENTS"):
        return given
    return _identity_lines(read_or_make(folder, path.name, _new_identity))


def drill_identities() -> list[str]:
    """age secret keys that only drills may use, for a server that holds none to restore with."""
    found = environment.items("BACKUPSITE_DRILL_IDENTITY")
    for identity in found:
        try:
            _recipient_of(identity)
        except ImproperlyConfigured as error:
            raise ImproperlyConfigured("BACKUPSITE_DRILL_IDENTITY: it is no age secret key.") from error
    return found


def report_key(folder: Path) -> str:
    """The Ed25519 key, as PEM, with which the reports of drills are signed."""
    given = environment.value("BACKUPSITE_REPORT_KEY")
    if not given:
        return read_or_make(folder, "report_key", _new_report_key)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        right = isinstance(load_pem_private_key(given.encode(), password=None), Ed25519PrivateKey)
    except (ValueError, TypeError):
        right = False
    if not right:
        raise ImproperlyConfigured(
            "BACKUPSITE_REPORT_KEY: it is no Ed25519 key in PEM (openssl genpkey -algorithm ed25519)."
        )
    return given


def age_recipients(folder: Path, identities: list[str]) -> list[str]:
    """The public keys that backups are encrypted to when a Database names none."""
    given = environment.items("BACKUPSITE_AGE_RECIPIENTS")
    if given:
        return _checked(given)
    if own := environment.items("BACKUPSITE_AGE_IDENTITY"):
        return [_recipient_of(identity) for identity in own]
    return read_or_make(
        folder, "age_recipients", lambda: "\n".join(_recipient_of(identity) for identity in identities)
    ).split()


def _identity_lines(text: str) -> list[str]:
    """Without the comments that age-keygen writes."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


# These functions import when called: settings are read by every process, and nearly none of them needs one.


def _new_identity() -> str:
    from backups.pipeline.keys import generate_identity

    return generate_identity()[0]


def _new_report_key() -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()


def _recipient_of(identity: str) -> str:
    from backups.pipeline.keys import recipient_of
    from jobs.errors import BackupError

    try:
        return recipient_of(identity)
    except BackupError as error:
        raise ImproperlyConfigured("BACKUPSITE_AGE_IDENTITY: it is no age secret key.") from error


def _checked(recipients: list[str]) -> list[str]:
    """Recipients are shown to everybody with a role: a secret key given by mistake must not become one."""
    from backups.pipeline.keys import valid_recipient

    if not all(map(valid_recipient, recipients)):
        raise ImproperlyConfigured("BACKUPSITE_AGE_RECIPIENTS: each one must be an age (age1...) or SSH public key.")
    return recipients


def _random() -> str:
    return secrets.token_urlsafe(50)
