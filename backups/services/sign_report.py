"""Sign the report of a drill with the site's Ed25519 key, and check such a signature.

What is signed are the bytes of the report as they are downloaded: JSON in UTF-8 with sorted keys and an indent of two,
and a line break at the end.
"""

import base64
import binascii
import json
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from django.conf import settings

from jobs.errors import BackupError

EXACT = 2**53  # whole numbers up to here are the same in every reader of JSON


def canonical(report: Any) -> bytes:
    return (json.dumps(report, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


def storable(value: Any) -> Any:
    """The same value as any database gives it back: whole floats become integers, and texts can be stored."""
    if isinstance(value, dict):
        return {storable(str(name)): storable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= EXACT else str(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= EXACT else _finite(value)
    return str(value).replace("\0", "�").encode("utf-8", "replace").decode()


def _finite(value: float) -> float | str:
    """A float whose text every database keeps; else its text."""
    return value if 1e-6 < abs(value) < EXACT else str(value)


def sign(report: Any) -> str:
    """Base64 of the 64 bytes of the signature."""
    return base64.b64encode(_private().sign(canonical(report))).decode()


def signature_of(text: str) -> bytes:
    """The 64 bytes of what `sign` returned."""
    return base64.b64decode(text)


def public_key() -> str:
    """PEM, as `openssl` reads it."""
    return _private().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_id() -> str:
    """Which key it was: the first 16 hex digits of the SHA-256 of the public key's DER."""
    der = _private().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).hexdigest()[:16]


def check_signature(*, report: bytes, signature: bytes, key: str = "") -> None:
    """`signature` is raw or base64, `key` a public key in PEM, the site's own unless given.

    Raises BackupError: wrong_key, bad_signature.
    """
    try:
        found = load_pem_public_key((key or public_key()).encode())
    except ValueError as error:
        raise BackupError("This is no public key in PEM.", code="wrong_key", permanent=True) from error
    if not isinstance(found, Ed25519PublicKey):
        raise BackupError("This is no Ed25519 key.", code="wrong_key", permanent=True)
    try:
        found.verify(_raw(signature), report)
    except (InvalidSignature, binascii.Error) as error:
        raise BackupError(
            "The signature does not fit this report.",
            code="bad_signature",
            permanent=True,
            hint="The report was changed, or signed by another key: its signed_by names which.",
        ) from error


def _raw(signature: bytes) -> bytes:
    return signature if len(signature) == 64 else base64.b64decode(signature.strip(), validate=True)


def _private() -> Ed25519PrivateKey:
    key = load_pem_private_key(settings.BACKUPSITE_REPORT_KEY.encode(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return key
