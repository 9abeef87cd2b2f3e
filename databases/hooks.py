"""Commands around a backup: their shape, and which programs a deployment lets them start.

`Database.hooks` is `{"pre": [[program, argument...]...], "post": [...], "timeout_s": n}`; each key may be missing. What
may be started is named by the host's setting: absolute paths of programs, and folders (with a trailing slash) whose
own programs are meant, not those of folders inside.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Self

Command = tuple[str, ...]

WHEN = ("pre", "post")
DEFAULT_TIMEOUT_S = 60
MAX_TIMEOUT_S = 3600
MAX_COMMANDS = 20
MAX_WORDS = 100
MAX_LENGTH = 4096


@dataclass(frozen=True)
class Hooks:
    """`timeout_s` bounds each command."""

    pre: tuple[Command, ...] = ()
    post: tuple[Command, ...] = ()
    timeout_s: int = DEFAULT_TIMEOUT_S

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """`stored` has no faults."""
        commands = {name: tuple(tuple(command) for command in stored.get(name) or ()) for name in WHEN}
        return cls(**commands, timeout_s=stored.get("timeout_s") or DEFAULT_TIMEOUT_S)

    def __bool__(self) -> bool:
        return bool(self.pre or self.post)

    @property
    def programs(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(command[0] for command in (*self.pre, *self.post)))

    def as_stored(self) -> dict[str, Any]:
        commands = {name: [list(command) for command in getattr(self, name)] for name in WHEN}
        return {**commands, "timeout_s": self.timeout_s}


def hook_faults(stored: Any, allowed: Sequence[str]) -> dict[str, list[str]]:
    """Everything wrong with hooks that are to be saved, by field (`hooks.pre`)."""
    if not isinstance(stored, Mapping) or set(stored) - {*WHEN, "timeout_s"}:
        return {"hooks": ["Give a mapping with pre, post and timeout_s."]}
    faults = {f"hooks.{name}": _list_faults(stored.get(name) or [], allowed) for name in WHEN}
    limit = stored.get("timeout_s", DEFAULT_TIMEOUT_S)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_TIMEOUT_S:
        faults["hooks.timeout_s"] = [f"Give 1 to {MAX_TIMEOUT_S} seconds."]
    return {name: texts for name, texts in faults.items() if texts}


def _list_faults(commands: Any, allowed: Sequence[str]) -> list[str]:
    if not isinstance(commands, list) or len(commands) > MAX_COMMANDS:
        return [f"Give a list of at most {MAX_COMMANDS} commands."]
    faults = ((number, _command_fault(command, allowed)) for number, command in enumerate(commands, start=1))
    return [f"Command {number}: {fault}" for number, fault in faults if fault]


def _command_fault(command: Any, allowed: Sequence[str]) -> str:
    if not isinstance(command, list) or not 1 <= len(command) <= MAX_WORDS:
        return f"it must be a list of a program and at most {MAX_WORDS - 1} arguments."
    for word in command:
        if not isinstance(word, str) or len(word) > MAX_LENGTH or any(sign in word for sign in "\0\r\n"):
            return f"each word is a text of one line and at most {MAX_LENGTH} characters."
    return program_fault(command[0], allowed)


def program_fault(program: str, allowed: Sequence[str]) -> str:
    """Why this host's setting does not allow a program; empty when it does.

    Folders are compared as they really are, links followed. In an allowed folder a link to a program elsewhere is not
    allowed: who wants it names it itself. A named program may be a link, as the names of a multi-call program are.
    """
    if not allowed:
        return "hooks are off: BACKUPSITE_HOOK_PROGRAMS names no program."
    path = PurePosixPath(program)
    if not path.is_absolute() or ".." in path.parts or program.endswith("/"):
        return "give the absolute path of a program, without '..'."
    folder, name = os.path.realpath(path.parent), path.name
    for entry in allowed:
        if not entry.endswith("/"):
            named = PurePosixPath(entry)
            if (folder, name) == (os.path.realpath(named.parent), named.name):
                return ""
        elif folder == os.path.realpath(entry) == os.path.dirname(os.path.realpath(path)):
            return ""
    return f"BACKUPSITE_HOOK_PROGRAMS does not allow {program}."
