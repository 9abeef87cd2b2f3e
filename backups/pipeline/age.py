"""age encryption of the stream: the header, then 64 KiB chunks of ChaCha20-Poly1305 (STREAM), after the C2SP text.

Written here because pyrage reads 8 KiB at a time and holds the interpreter, so that no other stage runs beside it.
"""

import os
from collections.abc import Iterator, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from backups.pipeline.age_header import FILE_KEY_SIZE, derive, read_header, write_header
from backups.pipeline.blocks import Block, BlockReader, Ring
from backups.pipeline.damage import corrupt, truncated

CHUNK = 1 << 16
TAG = 16
SEALED_CHUNK = CHUNK + TAG
CHUNKS = 16  # in one block
SEALED_BLOCK = SEALED_CHUNK * CHUNKS
NONCE_SIZE = 16


def encrypt(source: BlockReader, recipients: Sequence[str], ring: Ring) -> Iterator[Block]:
    """`ring` has buffers of SEALED_BLOCK bytes."""
    file_key, nonce = os.urandom(FILE_KEY_SIZE), os.urandom(NONCE_SIZE)
    header = write_header(file_key, recipients) + nonce
    cipher = ChaCha20Poly1305(derive(file_key, salt=nonce, info=b"payload"))
    for at in range(0, len(header), SEALED_BLOCK):
        buffer, part = ring.take(), header[at : at + SEALED_BLOCK]
        buffer[: len(part)] = part
        yield ring.block(buffer, len(part))
    plain = memoryview(bytearray(CHUNK * CHUNKS))
    index, last = 0, False
    while not last:
        size = source.readinto(plain)
        last = source.at_end()
        buffer = ring.take()
        sealed, out = memoryview(buffer), 0
        for at in range(0, max(size, 1), CHUNK):
            chunk = plain[at : min(at + CHUNK, size)]
            final = last and at + CHUNK >= size
            out += cipher.encrypt_into(
                _nonce(index, last=final),
                chunk,
                None,
                sealed[out : out + len(chunk) + TAG],
            )
            index += 1
        yield ring.block(buffer, out)


def decrypt(source: BlockReader, identities: Sequence[str], ring: Ring) -> Iterator[Block]:
    """Raises wrong_key, artefact_truncated or artefact_corrupt. Ends only after the chunk that says it is the last."""
    file_key = read_header(source, identities)
    nonce = source.read(NONCE_SIZE)
    if len(nonce) < NONCE_SIZE:
        raise truncated("The artefact ends in its age header.")
    cipher = ChaCha20Poly1305(derive(file_key, salt=nonce, info=b"payload"))
    sealed = memoryview(bytearray(SEALED_BLOCK))
    index, last = 0, False
    while not last:
        size = source.readinto(sealed)
        last = source.at_end()
        buffer = ring.take()
        plain, out = memoryview(buffer), 0
        for at in range(0, max(size, 1), SEALED_CHUNK):
            chunk = sealed[at : min(at + SEALED_CHUNK, size)]
            out += _open(
                cipher,
                index,
                chunk,
                plain[out : out + CHUNK],
                last=last and at + SEALED_CHUNK >= size,
            )
            index += 1
        yield ring.block(buffer, out)


def _open(
    cipher: ChaCha20Poly1305,
    index: int,
    chunk: memoryview,
    plain: memoryview,
    *,
    last: bool,
) -> int:
    size = len(chunk) - TAG
    if size < 0:
        raise truncated("The artefact ends in the middle of an encrypted chunk.")
    try:
        cipher.decrypt_into(_nonce(index, last=last), chunk, None, plain[:size])
    except InvalidTag as error:
        if last:
            raise truncated("The artefact's last encrypted chunk is cut off or damaged.") from error
        raise corrupt("The artefact's encrypted bytes are damaged.") from error
    if size == 0 and index > 0:
        raise corrupt("The artefact ends with an empty encrypted chunk.")
    return size


def _nonce(index: int, *, last: bool) -> bytes:
    return index.to_bytes(11) + bytes([last])
