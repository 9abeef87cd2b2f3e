"""Artefact in, plain stream out: the mirror of encode, strict to the last byte."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from blake3 import blake3

from backups.pipeline.age import decrypt
from backups.pipeline.blocks import Block, BlockReader, Meter, Readable, Ring, fill
from backups.pipeline.compression import decompress
from backups.pipeline.damage import corrupt, truncated
from backups.pipeline.encode import Check, Digests, no_check
from backups.pipeline.threads import Threads
from jobs.errors import BackupError


class DecodedReader(BlockReader):
    """The plain bytes. The end is reported only when the whole artefact was read and found whole."""


@contextmanager
def decode(
    stored: Readable,
    *,
    compression: str,
    encrypted: bool,
    identities: Sequence[str] = (),
    expected: Digests | None = None,
    check: Check = no_check,
) -> Iterator[DecodedReader]:
    """Raises BackupError: missing_key at once; wrong_key, artefact_truncated, artefact_corrupt from the reader.

    With `expected`, sizes, the SHA-256 of the stored bytes and the BLAKE3 of the plain ones have to agree as well.
    `check` is called in the thread that reads, once a block and every half second while it waits; it may raise.
    """
    if encrypted and not identities:
        raise BackupError(
            "The artefact is encrypted and no key was given.",
            code="missing_key",
            permanent=True,
        )
    stored_hash, plain_hash = hashlib.sha256(), blake3()
    outside, inside = Meter(stored_hash), Meter(plain_hash)

    def compare() -> None:
        if expected is None:
            return
        _compare_stored(outside.size, stored_hash.hexdigest(), expected)
        if (inside.size, plain_hash.hexdigest()) != (
            expected.original_size,
            expected.original_blake3,
        ):
            raise corrupt("The artefact unpacks to other bytes than were backed up.")

    with Threads("decode") as threads:
        stage: Iterator[Block] = threads.run(outside.watch(fill(stored, Ring(threads))), "read")
        if encrypted:
            stage = threads.run(
                decrypt(BlockReader(stage.__next__), identities, Ring(threads)),
                "decrypt",
            )
        if compression != "none":
            stage = decompress(BlockReader(stage.__next__), compression, Ring(threads))
        final = threads.run(_judged(inside.watch(stage), outside, expected, compare), "decompress")

        def pull() -> Block:
            check()
            return final.get(check)

        yield DecodedReader(pull)


def _judged(blocks: Iterator[Block], outside: Meter, expected: Digests | None, compare: Check) -> Iterator[Block]:
    """Ends only when `compare` agrees; says `corrupt` where the end looked cut off but every byte is there."""
    try:
        yield from blocks
    except BackupError as error:
        complete = expected is not None and outside.ended and outside.size >= expected.size
        if error.code == "artefact_truncated" and complete:
            raise corrupt("The artefact is damaged.") from error
        raise
    compare()


def _compare_stored(size: int, sha256: str, expected: Digests) -> None:
    if size < expected.size:
        raise truncated(f"The artefact holds {size} bytes of {expected.size}.")
    if (size, sha256) != (expected.size, expected.sha256):
        raise corrupt(f"The artefact's {size} bytes differ from the {expected.size} bytes stored.")
