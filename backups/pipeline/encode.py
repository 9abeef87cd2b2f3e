"""Plain stream in, artefact out: read | compress | encrypt | digest, each in its thread, pulled by the destination."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from blake3 import blake3

from backups.pipeline.age import SEALED_BLOCK, encrypt
from backups.pipeline.blocks import (
    Block,
    BlockReader,
    Meter,
    Readable,
    Ring,
    fill,
    tapped,
)
from backups.pipeline.compression import compress
from backups.pipeline.encoding import Encoding
from backups.pipeline.threads import Channel, Threads

Check = Callable[[], None]
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Digests:
    """Of one artefact: the plain stream (`original_`) and the stored bytes. Sizes in bytes, digests in hex."""

    original_size: int
    original_blake3: str
    size: int
    md5: str
    sha256: str


def no_check() -> None:
    """Nothing ever asks this pipeline to stop."""


def no_progress(count: int) -> None:
    """Nobody watches."""


class EncodedReader(BlockReader):
    """The artefact's bytes. Its end is reported only after every stage, the source first, ended well."""

    def __init__(self, pull: Callable[[], Block], digests: Callable[[], Digests]) -> None:
        super().__init__(pull)
        self._digests = digests

    @property
    def digests(self) -> Digests:
        """Raises RuntimeError before the end was reached."""
        if not self._ended:
            raise RuntimeError("the digests are known at the end of the stream")
        return self._digests()


@contextmanager
def encode(
    source: Readable,
    *,
    encoding: Encoding,
    taps: Sequence[Callable[[memoryview], None]] = (),
    check: Check = no_check,
    progress: Progress = no_progress,
    abort: Check = no_check,
) -> Iterator[EncodedReader]:
    """Encodes what `source.readinto` gives until it gives 0; whatever any stage raises, the reader raises.

    `taps` see the plain blocks, in the reading thread. `check` and `progress(plain bytes so far)` are called in the
    thread that reads the artefact, once a block and at least every half second while it waits; `check` may raise.
    `abort` is called when the context is left while the source still runs, and has to wake it.
    """
    original, sha256, md5 = (
        blake3(),
        hashlib.sha256(),
        hashlib.md5(usedforsecurity=False),
    )
    plain, stored = Meter(original), Meter(md5)

    def pulse() -> None:
        check()
        progress(plain.size)

    def digests() -> Digests:
        return Digests(
            plain.size,
            original.hexdigest(),
            stored.size,
            md5.hexdigest(),
            sha256.hexdigest(),
        )

    with Threads("encode", abort=abort) as threads:
        stage = threads.run(tapped(plain.watch(fill(source, Ring(threads))), taps), "read")
        if encoding.compression != "none":
            stage = threads.run(compress(stage, encoding, Ring(threads)), "compress")
        if encoding.recipients:
            sealed = encrypt(
                BlockReader(stage.get),
                encoding.recipients,
                Ring(threads, size=SEALED_BLOCK),
            )
            stage = threads.run(Meter(sha256).watch(sealed), "encrypt")
        else:
            stage = threads.run(Meter(sha256).watch(stage), "digest")
        stage = threads.run(stored.watch(stage), "md5")
        yield EncodedReader(_pulled(stage, pulse), digests)


def _pulled(stage: Channel[Block], pulse: Check) -> Callable[[], Block]:
    def pull() -> Block:
        pulse()
        return stage.get(pulse)

    return pull
