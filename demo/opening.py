"""Opens an artefact without Backupsite: `age -d | zstd -dc | pg_restore`, with what the machine has."""

import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyrage
import zstandard


@dataclass(frozen=True)
class Opening:
    """`how` names the tools; `objects` is how many pg_restore would create."""

    how: str
    objects: int


def open_archive(artefact: Path, *, identity: Path, bin_dir: Path) -> Opening:
    """Reads a `.dump.zst.age` artefact to its end. Raises RuntimeError with the tools' own words when it cannot."""
    pg_restore = [str(bin_dir / "pg_restore"), "--verbose", "--file=/dev/null"]
    if shutil.which("age") and shutil.which("zstd"):
        decrypt = ["age", "-d", "-i", str(identity), str(artefact)]
        return Opening("age -d | zstd -d | pg_restore", _count(_pipe([decrypt, ["zstd", "-dc"], pg_restore])))
    # A bare machine has neither; the two formats' own libraries stand in for their commands.
    key = pyrage.x25519.Identity.from_str(_secret_line(identity))
    stored = pyrage.decrypt(artefact.read_bytes(), [key])
    done = subprocess.run(pg_restore, input=_decompress(stored), capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pg_restore: {done.stderr.decode(errors='replace').strip()[-500:]}")
    return Opening("no age or zstd command here; pyrage | zstandard | pg_restore", _count(done.stderr))


def _decompress(stored: bytes) -> bytes:
    frame = zstandard.ZstdDecompressor().decompressobj()
    plain = frame.decompress(stored)
    if not frame.eof:
        raise RuntimeError("zstandard: the frame ends too early")
    return plain


def _secret_line(identity: Path) -> str:
    return next(line for line in identity.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-"))


def _count(verbose: bytes) -> int:
    return sum(1 for line in verbose.splitlines() if line.startswith(b"pg_restore: creating "))


def _pipe(commands: list[list[str]]) -> bytes:
    """What the last one said on stderr. Raises RuntimeError when any of them fails."""
    with ExitStack() as stack, tempfile.TemporaryFile() as said:
        tools: list[subprocess.Popen[bytes]] = []
        for command in commands:
            last = command is commands[-1]
            tool = subprocess.Popen(
                command,
                stdin=tools[-1].stdout if tools else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if last else subprocess.PIPE,
                stderr=said if last else None,
            )
            tools.append(stack.enter_context(tool))
            if tools[1:] and tools[-2].stdout:
                tools[-2].stdout.close()  # so that the earlier tool notices when the later one ends
        statuses = [tool.wait() for tool in tools]
        said.seek(0)
        words = said.read()
    if any(statuses):
        names = ", ".join(f"{command[0]} {status}" for command, status in zip(commands, statuses, strict=True))
        raise RuntimeError(f"the artefact does not open: {names}: {words[-500:].decode(errors='replace')}")
    return words
