"""Opens an artefact without Backupsite: `age -d | zstd -dc | pg_restore -l`, with what the machine has."""

import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyrage
import zstandard


@dataclass(frozen=True)
class Listing:
    """`how` names the tools; `entries` counts the archive's table of contents."""

    how: str
    entries: int


def list_archive(artefact: Path, *, identity: Path, bin_dir: Path) -> Listing:
    """Lists a `.dump.zst.age` artefact. Raises RuntimeError with the tools' own words when it does not open."""
    pg_restore = str(bin_dir / "pg_restore")
    if shutil.which("age") and shutil.which("zstd"):
        commands = [["age", "-d", "-i", str(identity), str(artefact)], ["zstd", "-dc"], [pg_restore, "-l"]]
        return Listing("age -d | zstd -d | pg_restore -l", _count(_pipe(commands)))
    # A bare machine has neither; the two formats' own libraries stand in for their commands.
    key = pyrage.x25519.Identity.from_str(_secret_line(identity))
    with (
        artefact.open("rb") as stored,
        subprocess.Popen(
            [pg_restore, "-l"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as tool,
    ):
        plain = zstandard.ZstdDecompressor().stream_reader(pyrage.decrypt(stored.read(), [key]))
        output, error = tool.communicate(plain.read())
    if tool.returncode:
        raise RuntimeError(f"pg_restore -l: {error.decode(errors='replace').strip()}")
    return Listing("no age or zstd command here; pyrage, zstandard and pg_restore -l", _count(output))


def _secret_line(identity: Path) -> str:
    return next(line for line in identity.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-"))


def _count(listing: bytes) -> int:
    return sum(1 for line in listing.splitlines() if line and not line.startswith(b";"))


def _pipe(commands: list[list[str]]) -> bytes:
    """The output of the last one. Raises RuntimeError when any of them fails."""
    with ExitStack() as stack:
        tools: list[subprocess.Popen[bytes]] = []
        for command in commands:
            before = tools[-1].stdout if tools else subprocess.DEVNULL
            tools.append(
                stack.enter_context(
                    subprocess.Popen(command, stdin=before, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                )
            )
            if tools[1:] and tools[-2].stdout:
                tools[-2].stdout.close()  # so that the earlier tool notices when the later one ends
                tools[-2].stdout = None
        output, _ = tools[-1].communicate()
        for tool in tools:
            error = tool.stderr.read() if tool.stderr and not tool.stderr.closed else b""
            if tool.wait():
                raise RuntimeError(f"{tool.args!r}: {error.decode(errors='replace').strip()}")
    return output
