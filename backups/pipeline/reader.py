"""Reading stored bytes back to compare them with what was written."""

import hashlib

from backups.pipeline.blocks import Meter, Readable, Ring, fill
from backups.pipeline.encode import Check, Progress, no_check, no_progress
from backups.pipeline.threads import Threads


def read_digests(
    stored: Readable, *, check: Check = no_check, progress: Progress = no_progress
) -> tuple[int, str, str]:
    """Size, MD5 and SHA-256 of a stored stream. Reading, MD5 and SHA-256 run side by side.

    `check` and `progress(bytes so far)` are called here once a block and every half second while waiting.
    """
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    meter = Meter(md5)
    with Threads("read-back") as threads:
        blocks = threads.run(fill(stored, Ring(threads)), "read")
        hashed = threads.run(Meter(sha256).watch(blocks), "sha256")
        measured = threads.run(meter.watch(hashed), "md5")
        while True:
            check()
            progress(meter.size)
            try:
                measured.get(check).release()
            except StopIteration:
                break
        progress(meter.size)
    return meter.size, md5.hexdigest(), sha256.hexdigest()
