"""`python -m benchmarks.s3 [--rounds N] [--memory-gb N]`: reading a bucket, against one connection and against rclone.

Prints its section of docs/benchmarks.md; `--write` puts it there.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.section import put_section
from benchmarks.slow_line import slow_line
from databases.engines.base import Connection, DumpRequest
from databases.engines.s3_bucket.engine import S3BucketEngine
from databases.engines.s3_bucket.options import S3Options
from demo.site import REPOSITORY
from tests.servers.s3 import S3Server, start_s3

FOLDER = REPOSITORY / ".bench" / "s3"
OBJECTS, SIZE, CONNECTIONS = 2000, 50_000, 16
DELAY_MS = 50
MB = 1 << 20
# Sizes in MB and how often, for each GB: from many small objects to one that comes in 64 pieces.
MIXED = ((256, 1), (64, 5), (8, 25), (1, 200), (0.05, 300))


@dataclass
class Run:
    seconds: float
    cpu: float = 0.0
    peak_mb: float = 0.0
    steps_mb: list[float] = field(default_factory=list)


class _Guard:
    def check(self) -> None:
        """Never stops."""

    def on_abort(self, callback: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def log(self, message: str) -> None:
        print(message, file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.s3", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-gb", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return _child(**json.loads(arguments.child), secret_key=sys.stdin.readline().strip())
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    try:
        with start_s3(FOLDER / "server") as server:
            text = measure(server, rounds=arguments.rounds, memory_gb=arguments.memory_gb)
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    print(text)
    if arguments.write:
        put_section(text)
    return 0


def measure(server: S3Server, *, rounds: int, memory_gb: int) -> str:
    times: dict[str, list[Run]] = {}
    if rounds:
        _time(server, times, rounds)
    memory = None
    if memory_gb:
        mixed = server.make_bucket("mixed")
        print(f"storing {memory_gb} GB", flush=True)
        _fill(server, mixed, list(_mixed(memory_gb)))
        memory = _ours(server, mixed, CONNECTIONS)
        print(f"{memory.seconds:.1f} s, {memory.peak_mb:.0f} MB", flush=True)
    return _section(times, memory, rounds=rounds, memory_gb=memory_gb)


def _time(server: S3Server, times: dict[str, list[Run]], rounds: int) -> None:
    small = server.make_bucket("small")
    print(f"storing {OBJECTS} objects", flush=True)
    _fill(server, small, [(f"{n % 20:02}/{n:05}.jpg", SIZE) for n in range(OBJECTS)])
    parts = urlsplit(server.endpoint_url)
    with slow_line(parts.hostname or "", parts.port or 0, delay_s=DELAY_MS / 1000) as port:
        far = replace(server, endpoint_url=f"http://127.0.0.1:{port}")
        for number in range(rounds):
            for place, where in (("at once", server), (f"{DELAY_MS} ms away", far)):
                for name, run in _contestants(where, small).items():
                    done = run()
                    times.setdefault(f"{place}|{name}", []).append(done)
                    print(
                        f"round {number + 1}, {place}, {name}: {done.seconds:.1f} s, {done.cpu:.1f} s CPU", flush=True
                    )


def _contestants(server: S3Server, bucket: str) -> dict[str, Callable[[], Run]]:
    return {
        "one connection": lambda: _ours(server, bucket, 1),
        f"{CONNECTIONS} connections": lambda: _ours(server, bucket, CONNECTIONS),
        "rclone": lambda: _rclone(server, bucket),
    }


def _ours(server: S3Server, bucket: str, parallel: int) -> Run:
    """A dump into a file, by a process of its own."""
    given = {"bucket": bucket, "endpoint_url": server.endpoint_url, "access_key": server.access_key}
    os.sync()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.s3", "--child", json.dumps(given | {"parallel": parallel})],
        input=server.secret_key + "\n",
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Run(**json.loads(done.stdout))


def _child(*, secret_key: str, **given: str) -> int:
    options = S3Options(secret_key=secret_key, region="us-east-1", addressing="path", **given)  # type: ignore[arg-type]
    engine = S3BucketEngine(Connection(), options)
    index = FOLDER / "index"
    steps: list[float] = []
    began, written = time.perf_counter(), 0
    with (
        index.open("wb") as lines,
        (FOLDER / "out.tar").open("wb") as out,
        engine.dump(DumpRequest(guard=_Guard(), index=lines.write)) as dump,  # type: ignore[arg-type]
    ):
        buffer = bytearray(MB)
        while count := dump.readinto(buffer):
            out.write(memoryview(buffer)[:count])
            written += count
            if written // (500 * MB) > len(steps):
                steps.append(_resident_mb())
    seconds = time.perf_counter() - began
    (FOLDER / "out.tar").unlink()
    print(json.dumps(vars(Run(seconds, time.process_time(), _resident_mb("VmHWM"), steps))))
    return 0


def _resident_mb(name: str = "VmRSS") -> float:
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith(name))


def _rclone(server: S3Server, bucket: str) -> Run:
    target = FOLDER / "rclone"
    shutil.rmtree(target, ignore_errors=True)
    named = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ACCESS_KEY_ID": server.access_key,
        "SECRET_ACCESS_KEY": server.secret_key,
        "ENDPOINT": server.endpoint_url,
        "REGION": "us-east-1",
        "FORCE_PATH_STYLE": "true",
    }
    environment = {f"RCLONE_CONFIG_STORE_{name}": value for name, value in named.items()}
    environment |= {"PATH": os.environ["PATH"], "HOME": str(FOLDER)}
    os.sync()
    began = time.perf_counter()
    subprocess.run(
        ["rclone", "copy", "--transfers", str(CONNECTIONS), f"store:{bucket}", str(target)],
        env=environment,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - began
    found = sum(1 for path in target.rglob("*") if path.is_file())
    if found != OBJECTS:
        raise RuntimeError(f"rclone copied {found} objects")
    shutil.rmtree(target)
    return Run(seconds)


def _mixed(gigabytes: int) -> Iterator[tuple[str, int]]:
    for gigabyte in range(gigabytes):
        for size, count in MIXED:
            yield from ((f"{gigabyte}/{number:04}-{size}", int(size * MB)) for number in range(count))


def _fill(server: S3Server, bucket: str, objects: list[tuple[str, int]]) -> None:
    noise = os.urandom(16 * MB)
    with closing(server.client()) as client, ThreadPoolExecutor(4) as pool:

        def store(key: str, size: int) -> None:
            body = (noise * (size // len(noise) + 1))[:size]
            client.put_object(Bucket=bucket, Key=key, Body=body)

        for done in [pool.submit(store, key, size) for key, size in objects]:
            done.result()


def _section(times: dict[str, list[Run]], memory: Run | None, *, rounds: int, memory_gb: int) -> str:
    command = " ".join(["python -m benchmarks.s3", *(word for word in sys.argv[1:] if word != "--write")])
    intro = (
        f"Measured on {time.strftime('%Y-%m-%d')} by `{command}` ({rounds} rounds, everybody in turn) on one store, "
        "OpenStack Swift with its S3 interface, on the same machine.\n\n"
        f"{OBJECTS} objects of {SIZE // 1000} kB, into a file (ours, one tar) or a folder (rclone):\n"
    )
    lines = [
        intro,
        "| store | reader | median s | fastest to slowest | one connection's | rclone's |",
        "|---|---|---|---|---|---|",
    ]
    for label, runs in times.items():
        place, name = label.split("|")
        found = [run.seconds for run in runs]
        median = statistics.median(found)
        one, other = (
            statistics.median(run.seconds for run in times[f"{place}|{rival}"])
            for rival in ("one connection", "rclone")
        )
        spread = f"{min(found):.1f} to {max(found):.1f}"
        lines.append(f"| {place} | {name} | {median:.1f} | {spread} | {median / one:.2f} x | {median / other:.2f} x |")
    return "\n".join(lines + (_memory_lines(memory, memory_gb) if memory else [])) + "\n"


def _memory_lines(memory: Run, gigabytes: int) -> list[str]:
    steps = ", ".join(f"{value:.0f}" for value in memory.steps_mb)
    text = (
        f"Memory, reading {gigabytes} GB in objects of 50 kB to 256 MB over {CONNECTIONS} connections: at most "
        f"{memory.peak_mb:.0f} MB are resident, the whole process counted, in {memory.seconds:.0f} s. "
        f"After each 500 MB: {steps} MB."
    )
    return ["", text]


if __name__ == "__main__":
    sys.exit(main())
