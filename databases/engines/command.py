"""Run a program of the operator's own to its end: its words become lines, its time is limited.

It ends as a whole: when the program has ended, been stopped or run out of time, what it left running in its process
group is killed too. A program is not waited for by the end of its output, which something it started may hold open.
"""

import os
import re
import select
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from databases.engines.base import Guard
from databases.engines.process import PIPE, Process, Tool, start

BLOCK = 64 << 10
TICK_S = 0.1
HEAD_LINES = 200  # told while they come
TAIL_LINES, TAIL_BYTES = 20, 8 << 10  # of a longer output, told at its end
WIDEST = 64 << 10  # bytes of a line that are looked at
SHOWN = 1000  # characters of a line that are told
SECRET_FROM = 4  # shorter ones protect nothing, and blanking them would make every line unreadable

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Outcome:
    """`status` is None when the time ran out, negative for a signal. `last` is the last line that was told."""

    status: int | None
    last: str


class Lines:
    """Any amount of output as few short lines, secrets blanked: the first ones at once, the last ones at the end."""

    def __init__(self, say: Callable[[str], None], secrets: Iterable[str]) -> None:
        self._say = say
        pieces = {CONTROL.sub("", line).strip() for secret in secrets for line in secret.splitlines()}
        self._secrets = sorted((piece for piece in pieces if len(piece) >= SECRET_FROM), key=len, reverse=True)
        self._begun = b""
        self._room = HEAD_LINES
        self._end = b""
        self._beyond = 0
        self.last = ""

    def feed(self, block: bytes) -> None:
        while block and self._room:
            line, whole, block = block.partition(b"\n")
            self._begun = (self._begun + line)[:WIDEST]
            if whole:
                self._tell(self._begun)
                self._begun = b""
                self._room -= 1
        self._beyond += len(block)
        self._end = (self._end + block)[-TAIL_BYTES:]

    def finish(self) -> None:
        self._tell(self._begun)
        rest = self._end
        if self._beyond > len(rest):
            rest = rest.partition(b"\n")[2]  # a piece of a line could be a piece of a secret
        lines = rest.split(b"\n")[-TAIL_LINES - 1 :]
        if left_out := self._beyond - len(b"\n".join(lines)):
            self._say(f"({left_out} bytes of output are left out here)")
        for line in lines:
            self._tell(line)

    def _tell(self, raw: bytes) -> None:
        text = raw.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]  # as a terminal would show it
        text = CONTROL.sub("", text)
        for secret in self._secrets:
            text = text.replace(secret, "********")
        if len(raw) == WIDEST and self._secrets:
            text = text[: -len(self._secrets[0])]  # the cut may have left the beginning of one
        if text := text.strip():
            self.last = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
            self._say(self.last)


def run_command(tool: Tool, *, guard: Guard, say: Callable[[str], None], timeout_s: float) -> Outcome:
    """Runs the tool; its stdout and stderr are told by `say`, line by line. Raises what `guard` raises."""
    lines = Lines(say, tool.secrets)
    until = time.monotonic() + timeout_s
    try:
        with start(tool, guard=guard, stdout=PIPE, merged=True) as process:
            in_time = _listen(process, lines, guard, until)
    finally:
        lines.finish()
    return Outcome(status=process.status if in_time else None, last=lines.last)


def _listen(process: Process, lines: Lines, guard: Guard, until: float) -> bool:
    """Whether the program ended in time."""
    output = process.stdout.fileno()
    ready = select.poll()
    ready.register(output, select.POLLIN)
    silent = False
    while not process.over():
        guard.check()
        left = until - time.monotonic()
        if left <= 0:
            return False
        if silent:
            time.sleep(min(left, TICK_S / 5))
        elif ready.poll(min(left, TICK_S) * 1000):
            block = os.read(output, BLOCK)
            silent = not block
            lines.feed(block)
    guard.check()  # when we killed it, the reason is ours to tell
    process.kill()  # what it left running
    drained = time.monotonic() + 1
    while ready.poll(0) and time.monotonic() < drained and (block := os.read(output, BLOCK)):
        lines.feed(block)
    return True
