"""The header of an age file, after the C2SP specification (age-encryption.org/v1), for X25519 and SSH recipients."""

import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backups.pipeline import ssh_keys
from backups.pipeline.blocks import BlockReader
from backups.pipeline.damage import corrupt, truncated
from backups.pipeline.keys import private_key, public_key
from jobs.errors import BackupError

VERSION = b"age-encryption.org/v1\n"
X25519_INFO = b"age-encryption.org/v1/X25519"
FILE_KEY_SIZE = 16
WRAPPED_SIZE = FILE_KEY_SIZE + 16
COLUMNS = 64  # of base64 in a stanza's body; a shorter line, empty if need be, ends it
MAX_HEADER = 1 << 20
ZERO_NONCE = bytes(12)  # the wrapping key is used once
_STANZA = rb"-> [!-~]+(?: [!-~]+)*\n(?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n"


def derive(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


def write_header(file_key: bytes, recipients: Sequence[str]) -> bytes:
    """Raises BackupError(code="invalid_recipient")."""
    text = VERSION + b"".join(_wrap(file_key, public_key(recipient)) for recipient in recipients) + b"---"
    return text + b" " + _base64(_mac(file_key, text)) + b"\n"


def read_header(source: BlockReader, identities: Sequence[str]) -> bytes:
    """The file key, once one of the identities opened it and the header's MAC agreed."""
    keys = [private_key(identity) for identity in identities]
    lines = list(_lines(source))
    if re.fullmatch(rb"--- [A-Za-z0-9+/]{43}\n", lines[-1]) is None:
        raise corrupt("The artefact's age header is damaged.")
    text = b"".join(lines[:-1]) + b"---"
    file_key = next((found for found in _unwrapped(lines[1:-1], keys) if found is not None), None)
    if file_key is None:
        raise BackupError(
            "The artefact was not encrypted for the given key.",
            code="wrong_key",
            permanent=True,
            hint="Use the secret key of one of the recipients named in the manifest.",
        )
    if not hmac.compare_digest(_mac(file_key, text), _unbase64(lines[-1][4:-1])):
        raise corrupt("The artefact's age header is damaged.")
    return file_key


def _wrap(file_key: bytes, recipient: X25519PublicKey | ssh_keys.PublicKey) -> bytes:
    if isinstance(recipient, X25519PublicKey):
        return _wrap_x25519(file_key, recipient)
    arguments, body = ssh_keys.wrap(file_key, recipient)
    text = _base64(body)
    lines = [text[at : at + COLUMNS] for at in range(0, len(text) + 1, COLUMNS)]  # the last one is shorter, or empty
    return b"-> " + " ".join(arguments).encode() + b"\n" + b"\n".join(lines) + b"\n"


def _wrap_x25519(file_key: bytes, recipient: X25519PublicKey) -> bytes:
    ephemeral = X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    salt = share + recipient.public_bytes_raw()
    key = derive(_exchange(ephemeral, recipient), salt=salt, info=X25519_INFO)
    body = _base64(ChaCha20Poly1305(key).encrypt(ZERO_NONCE, file_key, None))
    return b"-> X25519 " + _base64(share) + b"\n" + body + b"\n"


def _exchange(private: X25519PrivateKey, public: X25519PublicKey) -> bytes:
    try:
        return private.exchange(public)
    except ValueError as error:  # a point of low order: the result would be no secret
        raise BackupError("An age key is a weak point.", code="invalid_recipient", permanent=True) from error


def _lines(source: BlockReader) -> Iterator[bytes]:
    """The header's lines with their ends, the `---` line last."""
    line, size = source.read(len(VERSION)), 0
    if line != VERSION:
        raise (
            truncated("The artefact ends in its age header.")
            if VERSION.startswith(line)
            else corrupt("The artefact is no age file.")
        )
    yield line
    while not line.startswith(b"---"):
        line = _line(source, MAX_HEADER - size)
        size += len(line)
        yield line


def _line(source: BlockReader, limit: int) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = source.read(1)
        if not byte:
            raise truncated("The artefact ends in its age header.")
        line += byte
        if len(line) > limit:
            raise corrupt("The artefact's age header has no end.")
    return bytes(line)


def _unwrapped(lines: list[bytes], keys: Sequence[X25519PrivateKey | ssh_keys.PrivateKey]) -> Iterator[bytes | None]:
    """Tries every key on every stanza of its kind; stanzas of other kinds are other people's."""
    text = b"".join(lines)
    if re.fullmatch(rb"(" + _STANZA + rb")+", text) is None:
        raise corrupt("The artefact's age header is damaged.")
    for stanza in re.finditer(_STANZA, text):
        first, *rest = stanza[0].splitlines()
        arguments, encoded = first[3:].decode().split(" "), b"".join(rest)
        for key in keys:
            if isinstance(key, X25519PrivateKey):
                yield _unwrap_x25519(arguments, encoded, key)
            else:
                yield _unwrap_ssh(arguments, encoded, key)


def _unwrap_ssh(arguments: list[str], encoded: bytes, key: ssh_keys.PrivateKey) -> bytes | None:
    if arguments[0] not in ssh_keys.LABEL:
        return None
    try:
        return ssh_keys.unwrap(arguments, _unbase64(encoded), key)
    except ValueError as error:
        raise corrupt("The artefact's age header is damaged.") from error


def _unwrap_x25519(arguments: list[str], encoded: bytes, key: X25519PrivateKey) -> bytes | None:
    if arguments[0] != "X25519" or len(arguments) != 2:
        return None
    public, wrapped = _unbase64(arguments[1].encode()), _unbase64(encoded)
    if len(public) != 32 or len(wrapped) != WRAPPED_SIZE:
        raise corrupt("The artefact's age header is damaged.")
    return _unwrap(X25519PublicKey.from_public_bytes(public), wrapped, key)


def _unwrap(share: X25519PublicKey, wrapped: bytes, private: X25519PrivateKey) -> bytes | None:
    salt = share.public_bytes_raw() + private.public_key().public_bytes_raw()
    key = derive(_exchange(private, share), salt=salt, info=X25519_INFO)
    try:
        return ChaCha20Poly1305(key).decrypt(ZERO_NONCE, wrapped, None)
    except InvalidTag:
        return None


def _mac(file_key: bytes, text: bytes) -> bytes:
    return hmac.digest(derive(file_key, salt=b"", info=b"header"), text, "sha256")


def _base64(data: bytes) -> bytes:
    return b64encode(data).rstrip(b"=")


def _unbase64(text: bytes) -> bytes:
    """Unpadded and canonical, or the header is damaged."""
    try:
        data = b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (Base64Error, ValueError) as error:
        raise corrupt("The artefact's age header is damaged.") from error
    if _base64(data) != text:
        raise corrupt("The artefact's age header is damaged.")
    return data
