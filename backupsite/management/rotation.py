"""Re-encrypt every stored secret under the first key; make a new one, and drop the old ones when nothing needs them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.utils import timezone

from backupsite import environment, keys
from backupsite.management.sealed import Column, replace_token, sealed_columns, tokens_of
from jobs.errors import BackupError
from jobs.fields import cipher
from jobs.models import Process

ROUNDS = 5
SEEN_WITHIN = timedelta(seconds=60)


def key_file() -> Path:
    return Path(settings.KEYS_DIR) / "encryption_keys"


def add_key() -> None:
    """Puts a fresh key before the others. Nothing is encrypted with it until the processes that run have restarted."""
    _require_file()
    known = key_file().read_text(encoding="utf-8").split()
    keys.replace(key_file(), "\n".join([Fernet.generate_key().decode(), *known]) + "\n")


def rotate() -> tuple[int, int]:
    """(re-encrypted, already under the first key). May run again and again, and beside a running site.

    Raises BackupError: missing_key (a secret that no key opens), restart_needed.
    """
    _require_restarted()
    done = 0
    for _ in range(ROUNDS):
        changed, left = _round()
        done += changed
        if not left:
            return done, _count() - done
    raise BackupError("Secrets are being changed as fast as they are re-encrypted.", code="busy", hint="Try again.")


def prune() -> int:
    """Drops every key but the first, after proving that it alone opens all; returns how many went."""
    _require_restarted()
    for column in sealed_columns():
        for key, token in tokens_of(column):
            if not _under_first(token):
                raise BackupError(
                    f"{column.model._meta.label} {key} still needs an older key.",
                    code="key_in_use",
                    permanent=True,
                    hint="Run `manage.py rotate_keys` first.",
                )
    _require_file()
    known = key_file().read_text(encoding="utf-8").split()
    keys.replace(key_file(), known[0] + "\n")
    return len(known) - 1


def _round() -> tuple[int, bool]:
    changed, left = 0, False
    for column in sealed_columns():
        for key, token in tokens_of(column):
            if not _under_first(token):
                if replace_token(column, key, token, _rotated(column, key, token)):
                    changed += 1
                else:
                    left = True
    return changed, left


def _rotated(column: Column, key: object, token: str) -> str:
    try:
        return cipher().rotate(token.encode()).decode()
    except InvalidToken as error:
        raise BackupError(
            f"{column.model._meta.label} {key} cannot be decrypted with this site's keys.",
            code="missing_key",
            permanent=True,
            hint="Add the key it was written with to BACKUPSITE_ENCRYPTION_KEYS or data/keys/encryption_keys.",
        ) from error


def _under_first(token: str) -> bool:
    try:
        Fernet(settings.BACKUPSITE_ENCRYPTION_KEYS[0]).decrypt(token.encode())
    except InvalidToken:
        return False
    return True


def _count() -> int:
    return sum(1 for column in sealed_columns() for _ in tokens_of(column))


def _require_file() -> None:
    if environment.items("BACKUPSITE_ENCRYPTION_KEYS"):
        raise BackupError(
            "The encryption keys are given by BACKUPSITE_ENCRYPTION_KEYS, not kept in the data folder.",
            code="keys_elsewhere",
            permanent=True,
            hint="Change them there: new keys go first, and all processes restart.",
        )


def _require_restarted() -> None:
    """A process that started before the keys changed could not read what is encrypted with the new one."""
    if environment.items("BACKUPSITE_ENCRYPTION_KEYS") or not key_file().exists():
        return
    changed = datetime.fromtimestamp(key_file().stat().st_mtime, UTC)
    older = Process.objects.filter(seen_at__gte=timezone.now() - SEEN_WITHIN, started_at__lt=changed)
    if names := list(older.values_list("name", flat=True)):
        raise BackupError(
            f"{', '.join(names)} runs with the keys of before.",
            code="restart_needed",
            permanent=True,
            hint="Restart the site, then run this again (a process that has just stopped counts for a minute).",
        )
