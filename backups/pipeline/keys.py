"""age X25519 keys: `age1...` (recipient, public) and `AGE-SECRET-KEY-1...` (identity, secret); SSH keys beside them.

The text form is Bech32 (BIP 173) without its length limit, as the age specification (C2SP) asks. SSH keys are as
OpenSSH writes them: see ssh_keys.py.
"""

import re

from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)

from backups.pipeline.ssh_keys import PrivateKey, PublicKey, public_text, ssh_private_key, ssh_public_key
from jobs.errors import BackupError

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
CHECKSUM_LENGTH = 6
RECIPIENT, IDENTITY = "age", "age-secret-key-"


def generate_identity() -> tuple[str, str]:
    """A new (identity, recipient) pair."""
    private = X25519PrivateKey.generate()
    identity = _bech32(IDENTITY, private.private_bytes_raw()).upper()
    return identity, _bech32(RECIPIENT, private.public_key().public_bytes_raw())


def recipient_of(identity: str) -> str:
    """The public key of an identity. Raises BackupError(code="wrong_key") when it is none."""
    key = private_key(identity)
    if isinstance(key, X25519PrivateKey):
        return _bech32(RECIPIENT, key.public_key().public_bytes_raw())
    return public_text(key)


def valid_recipient(text: str) -> bool:
    return _raw(text, RECIPIENT) is not None or ssh_public_key(text) is not None


def valid_identity(text: str) -> bool:
    return _raw(text, IDENTITY) is not None or ssh_private_key(text) is not None


def private_key(identity: str) -> X25519PrivateKey | PrivateKey:
    if ssh := ssh_private_key(identity):
        return ssh
    raw = _raw(identity.strip(), IDENTITY)
    if raw is None:
        raise BackupError(
            "The given identity is no age secret key.",
            code="wrong_key",
            permanent=True,
            hint="It is one line that starts with AGE-SECRET-KEY-1, or an SSH key (ed25519, rsa) without passphrase.",
        )
    return X25519PrivateKey.from_private_bytes(raw)


def public_key(recipient: str) -> X25519PublicKey | PublicKey:
    if ssh := ssh_public_key(recipient):
        return ssh
    raw = _raw(recipient, RECIPIENT)
    if raw is None:
        raise BackupError(
            "A recipient is no age public key.",  # not repeated here: it may be a secret key by mistake
            code="invalid_recipient",
            permanent=True,
            hint="It is one line that starts with age1, as age-keygen prints it, or with ssh-ed25519 or ssh-rsa.",
        )
    return X25519PublicKey.from_public_bytes(raw)


def _raw(text: str, prefix: str) -> bytes | None:
    """The 32 bytes behind a key's text; None when it is not one of this kind."""
    if text not in (text.lower(), text.upper()):
        return None
    match = re.fullmatch(f"{prefix}1([{CHARSET}]{{58}})", text.lower())
    if match is None:
        return None
    values = [CHARSET.index(letter) for letter in match[1]]
    bits = "".join(f"{value:05b}" for value in values[:-CHECKSUM_LENGTH])
    if _polymod(_expand(prefix) + values) != 1 or "1" in bits[256:]:
        return None
    return int(bits[:256], 2).to_bytes(32)


def _bech32(prefix: str, raw: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in raw)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    check = _polymod(_expand(prefix) + values + [0] * CHECKSUM_LENGTH) ^ 1
    values += [check >> 5 * (CHECKSUM_LENGTH - 1 - at) & 31 for at in range(CHECKSUM_LENGTH)]
    return f"{prefix}1" + "".join(CHARSET[value] for value in values)


def _expand(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for at, generator in enumerate(GENERATOR):
            check ^= generator if top >> at & 1 else 0
    return check
