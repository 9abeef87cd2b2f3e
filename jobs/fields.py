"""Columns encrypted at rest with the site's Fernet keys. Opening with a wrong key raises; no ciphertext leaks out."""

import json
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from jobs.errors import BackupError


def cipher() -> MultiFernet:
    """The first of BACKUPSITE_ENCRYPTION_KEYS encrypts, all decrypt. Raises ImproperlyConfigured for a bad key."""
    try:
        return MultiFernet([Fernet(key) for key in settings.BACKUPSITE_ENCRYPTION_KEYS])
    except ValueError as error:
        raise ImproperlyConfigured(
            "BACKUPSITE_ENCRYPTION_KEYS: each key must be 32 bytes in URL-safe base64 (Fernet)."
        ) from error


def encrypt(plain: str) -> str:
    return cipher().encrypt(plain.encode()).decode()


def decrypt(token: str) -> str:
    """Raises BackupError(code="missing_key") when none of the site's keys opens it."""
    try:
        return cipher().decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise BackupError(
            "A stored secret cannot be decrypted with this site's encryption keys.",
            code="missing_key",
            permanent=True,
            hint="Give back the key it was written with (BACKUPSITE_ENCRYPTION_KEYS or data/keys/encryption_keys).",
        ) from error


if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class EncryptedJSONField(_TextField):
    """A JSON value stored as a Fernet token. The column is opaque: it cannot be searched or compared.

    A value read from its row is `Sealed`: lists and pages that do not need it never decrypt it, and `unseal` raises
    BackupError(code="missing_key") when it cannot be opened.
    """

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else Sealed(value)

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        if isinstance(value, Sealed):
            return value.token
        return encrypt(json.dumps(value, ensure_ascii=False))

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        return value  # the services that set secrets validate them

    def formfield(self, **kwargs: Any) -> Any:
        return None  # secrets are never rendered into a form


class Sealed:
    """An encrypted value as read from its row. `open()` decrypts it; nothing else shows it."""

    def __init__(self, token: str) -> None:
        self.token = token

    def open(self) -> Any:
        """Raises BackupError(code="missing_key") when none of the site's keys opens it."""
        return json.loads(decrypt(self.token))

    def __repr__(self) -> str:
        return "<sealed>"


def unseal(value: Any) -> Any:
    """The plain value of an `EncryptedJSONField`, whether it was read from its row or set just now."""
    return value.open() if isinstance(value, Sealed) else value
