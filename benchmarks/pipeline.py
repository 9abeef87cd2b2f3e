"""The pipeline against the floor `cat file | zstd -T2 -3 > out`, run in turn; medians and ratios.

    python benchmarks/pipeline.py [--size MB] [--rounds N] [--threads N] [--folder DIR]

Both sides read the same mixed text through a pipe and write a file beside it, without fsync.
"""

import argparse
import io
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from backups.pipeline.blocks import BLOCK_SIZE
from backups.pipeline.decode import decode
from backups.pipeline.encode import Digests, encode
from backups.pipeline.encoding import Encoding
from backups.pipeline.keys import generate_identity
from backups.pipeline.reader import read_digests


def write_text(path: Path, size: int) -> None:
    """Rows, JSON and prose with the entropy of a dump; the same for every run."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 11))) for _ in range(8000)]
    with path.open("w") as out:
        while out.tell() < size:
            for row in range(5000):
                prose = " ".join(chance.choices(words, k=chance.randint(3, 14)))
                out.write(f"{row}\t{chance.randint(1, 99999)}\t{chance.random() * 1000:.2f}\t{prose}\n")
                out.write(f'{{"id": {chance.getrandbits(30)}, "uuid": "{chance.getrandbits(128):032x}"}}\n')


def piped(path: Path, out: Path, encoding: Encoding) -> Digests:
    with (
        subprocess.Popen(["cat", path], stdout=subprocess.PIPE, bufsize=0, pipesize=BLOCK_SIZE) as child,
        out.open("wb", buffering=0) as target,
    ):
        assert isinstance(child.stdout, io.FileIO)
        with encode(child.stdout, encoding=encoding) as reader:
            buffer = memoryview(bytearray(BLOCK_SIZE))
            while count := reader.readinto(buffer):
                target.write(buffer[:count])
            return reader.digests


def shell(command: str) -> Callable[[], None]:
    def run() -> None:
        subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True)

    return run


def unpack(out: Path, digests: Digests, compression: str, identity: str) -> None:
    with (
        out.open("rb", buffering=0) as stored,
        decode(
            stored,
            compression=compression,
            encrypted=bool(identity),
            identities=[identity],
            expected=digests,
        ) as reader,
    ):
        buffer = bytearray(BLOCK_SIZE)
        while reader.readinto(buffer):
            pass


def read_back(out: Path) -> None:
    with out.open("rb", buffering=0) as stored:
        read_digests(stored)


def compare(cases: dict[str, Callable[[], object]], rounds: int) -> None:
    """The first case is the floor. Ratios are medians of each round's own ratio."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, run in cases.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    floor = next(iter(times.values()))
    for name, taken in times.items():
        ratio = statistics.median(own / base for own, base in zip(taken, floor, strict=True))
        print(f"{name:28s} {statistics.median(taken):7.2f} s   {ratio:5.2f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=500, help="MB of text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[0, 2], help="zstd's own threads")
    parser.add_argument("--folder", type=Path, default=None)
    asked = parser.parse_args()
    identity, recipient = generate_identity()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        text, out = Path(name) / "text", Path(name) / "out"
        write_text(text, asked.size * 1_000_000)
        cases: dict[str, Callable[[], object]] = {"cat | zstd -T2 -3": shell(f"cat {text} | zstd -T2 -3 -q > {out}")}
        for threads in asked.threads:
            for recipients in ((), (recipient,)):
                encoding = Encoding(threads=threads, recipients=recipients)
                label = f"zstd threads={threads}{' + age' if recipients else ''}"
                cases[label] = lambda encoding=encoding: piped(text, out, encoding)  # type: ignore[misc]
        compare(cases, asked.rounds)
        encoding = Encoding(recipients=(recipient,))
        digests = piped(text, out, encoding)
        floor = f"age -d -i <(echo {identity}) {out} | zstd -dc > /dev/null"
        compare(
            {
                "age -d | zstd -dc": shell(floor),
                "decode": lambda: unpack(out, digests, "zstd", identity),
            },
            asked.rounds,
        )
        compare(
            {
                "sha256sum": shell(f"sha256sum {out} > /dev/null"),
                "read_digests": lambda: read_back(out),
            },
            asked.rounds,
        )
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
