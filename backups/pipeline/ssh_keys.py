"""SSH keys as recipients and identities of age, after C2SP's age-ssh text: `ssh-ed25519` and `ssh-rsa`.

A stanza says which key it is for by four bytes of the SHA-256 of the key's wire form, so another one's is left alone.
"""

import hashlib
import re
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_key,
)

ED25519, RSA = "ssh-ed25519", "ssh-rsa"
LABEL = {kind: f"age-encryption.org/v1/{kind}".encode() for kind in (ED25519, RSA)}
SMALLEST_RSA = 2048
LARGEST_RSA = 16384
BEGIN_PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----"
_LINE = re.compile(r"ssh-(ed25519|rsa) [A-Za-z0-9+/]{20,8000}={0,2}( [^\r\n\0]{0,500})?")
_FIELD = (1 << 255) - 19
_NO_NONCE = bytes(12)  # the wrapping key is used once

PublicKey = Ed25519PublicKey | RSAPublicKey
PrivateKey = Ed25519PrivateKey | RSAPrivateKey


def ssh_public_key(text: str) -> PublicKey | None:
    """Of a line as in `id_ed25519.pub`; None when it is none, or one that age does not take."""
    if not _LINE.fullmatch(text):
        return None
    try:
        key = load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, RSAPublicKey):
        return key if SMALLEST_RSA <= key.key_size <= LARGEST_RSA else None
    return key if isinstance(key, Ed25519PublicKey) and _montgomery(key) is not None else None


def ssh_private_key(text: str) -> PrivateKey | None:
    """Of the text of `id_ed25519`; None when it is none, or has a passphrase."""
    if not text.strip().startswith(BEGIN_PRIVATE):
        return None
    try:
        key = load_ssh_private_key(text.strip().encode() + b"\n", password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PrivateKey | RSAPrivateKey) else None


def public_text(key: PrivateKey) -> str:
    """The line that belongs to it, without a comment."""
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def wrap(file_key: bytes, key: PublicKey) -> tuple[list[str], bytes]:
    """The arguments and the body of the stanza."""
    tag = _text(hashlib.sha256(_wire(key)).digest()[:4])
    if isinstance(key, RSAPublicKey):
        return [RSA, tag], key.encrypt(file_key, _padding())
    theirs, ephemeral = _montgomery(key), X25519PrivateKey.generate()
    assert theirs is not None
    share = ephemeral.public_key().public_bytes_raw()
    secret = _tweaked(_wire(key), ephemeral.exchange(X25519PublicKey.from_public_bytes(theirs)))
    wrapping = _derived(secret, salt=share + theirs)
    return [ED25519, tag, _text(share)], ChaCha20Poly1305(wrapping).encrypt(_NO_NONCE, file_key, None)


def unwrap(arguments: list[str], body: bytes, key: PrivateKey) -> bytes | None:
    """The file key; None where the stanza is none for this key. Raises ValueError for a weak point."""
    public = key.public_key()
    tag = _text(hashlib.sha256(_wire(public)).digest()[:4])
    if isinstance(key, RSAPrivateKey):
        if arguments != [RSA, tag]:
            return None
        try:
            return key.decrypt(body, _padding())
        except ValueError:
            return None
    if len(arguments) != 3 or arguments[:2] != [ED25519, tag] or len(arguments[2]) != 43:
        return None
    share = b64decode(arguments[2] + "=")
    own = X25519PrivateKey.from_private_bytes(hashlib.sha512(key.private_bytes_raw()).digest()[:32])
    secret = _tweaked(_wire(public), own.exchange(X25519PublicKey.from_public_bytes(share)))
    wrapping = _derived(secret, salt=share + own.public_key().public_bytes_raw())
    try:
        return ChaCha20Poly1305(wrapping).decrypt(_NO_NONCE, body, None)
    except InvalidTag:
        return None


def _tweaked(wire: bytes, shared: bytes) -> bytes:
    """Binds what was agreed on to the SSH key itself."""
    tweak = X25519PrivateKey.from_private_bytes(_derived(b"", salt=wire))
    return tweak.exchange(X25519PublicKey.from_public_bytes(shared))


def _derived(secret: bytes, *, salt: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=LABEL[ED25519]).derive(secret)


def _montgomery(key: Ed25519PublicKey) -> bytes | None:
    """The same point on Curve25519, RFC 7748: u = (1 + y) / (1 - y); None for the one that has none."""
    y = int.from_bytes(key.public_bytes_raw(), "little") & ((1 << 255) - 1)
    if y % _FIELD == 1:
        return None
    u = (1 + y) * pow(1 - y, -1, _FIELD) % _FIELD
    return u.to_bytes(32, "little")


def _padding() -> OAEP:
    return OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=LABEL[RSA])


def _wire(key: PublicKey) -> bytes:
    return b64decode(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split(b" ")[1])


def _text(data: bytes) -> str:
    return b64encode(data).rstrip(b"=").decode()
