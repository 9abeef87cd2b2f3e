"""Opens an artefact without Backupsite: `age -d | zstd -dc | a stock tool`, with what the machine has."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyrage
import zstandard


@dataclass(frozen=True)
class Opening:
    """`how` names the tools; `said` is what the last one printed, on either stream."""

    how: str
    said: str


def open_artefact(artefact: Path, *, identity: Path, tool: list[str], env: Mapping[str, str] | None = None) -> Opening:
    """Reads a `.zst.age` artefact to its end, into `tool`. Raises RuntimeError, in the tools' words, when it cannot.

    The environment is the machine's, in the C locale, and `env`.
    """
    environment = {**os.environ, "LC_ALL": "C", **(env or {})}
    name = Path(tool[0]).name
    if shutil.which("age") and shutil.which("zstd"):
        decrypt = ["age", "-d", "-i", str(identity), str(artefact)]
        return Opening(f"age -d | zstd -d | {name}", _pipe([decrypt, ["zstd", "-dc"], tool], environment))
    # A bare machine has neither; the two formats' own libraries stand in for their commands.
    key = pyrage.x25519.Identity.from_str(_secret_line(identity))
    plain = _decompress(pyrage.decrypt(artefact.read_bytes(), [key]))
    done = subprocess.run(
        tool, input=plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, check=False
    )
    said = done.stdout.decode(errors="replace")
    if done.returncode:
        raise RuntimeError(f"{name}: {said.strip()[-500:]}")
    return Opening(f"pyrage | zstandard | {name} (no age or zstd command here)", said)


def _decompress(stored: bytes) -> bytes:
    frame = zstandard.ZstdDecompressor().decompressobj()
    plain = frame.decompress(stored)
    if not frame.eof:
        raise RuntimeError("zstandard: the frame ends too early")
    return plain


def _secret_line(identity: Path) -> str:
    return next(line for line in identity.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-"))


def _pipe(commands: list[list[str]], environment: Mapping[str, str]) -> str:
    """What the last one said. Raises RuntimeError when any of them fails."""
    with ExitStack() as stack, tempfile.TemporaryFile() as said:
        tools: list[subprocess.Popen[bytes]] = []
        for command in commands:
            last = command is commands[-1]
            tool = subprocess.Popen(
                command,
                stdin=tools[-1].stdout if tools else subprocess.DEVNULL,
                stdout=said if last else subprocess.PIPE,
                stderr=said if last else None,
                env=environment,
            )
            tools.append(stack.enter_context(tool))
            if tools[1:] and tools[-2].stdout:
                tools[-2].stdout.close()  # so that the earlier tool notices when the later one ends
        statuses = [tool.wait() for tool in tools]
        said.seek(0)
        words = said.read().decode(errors="replace")
    if any(statuses):
        names = ", ".join(f"{command[0]} {status}" for command, status in zip(commands, statuses, strict=True))
        raise RuntimeError(f"the artefact does not open: {names}: {words[-500:]}")
    return words
