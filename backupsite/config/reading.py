"""config.yaml -> values, with the line of every one of them, so that a fault can say where it is."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from jobs.errors import BackupError

ValuePath = tuple[str | int, ...]
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})")
QUOTED = re.compile(r" '[^']{2,}'")  # names in a fault of YAML: an unquoted secret may be taken for one
FILE = "file:"
LARGEST = 4 << 20  # bytes of a file, of secrets or of configuration
MOST_VALUES = 500_000  # aliases of aliases make billions of a few lines
PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null"))


@dataclass(frozen=True)
class Fault:
    """What is wrong, and where: a line of the file, 0 where it has none; never with a value, which may be a secret."""

    line: int
    path: ValuePath
    message: str

    def __str__(self) -> str:
        where = ".".join(map(str, self.path))
        line = f"line {self.line}: " if self.line else ""
        return f"{line}{where + ': ' if where else ''}{self.message}"


class ConfigRefused(BackupError):
    """Nothing was changed; `faults` are all there are, in the order of the file."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = sorted(faults, key=lambda fault: (fault.line, list(map(str, fault.path))))
        super().__init__(
            "\n".join(map(str, self.faults)), code="invalid_config", permanent=True, hint="Nothing was changed."
        )


class Expanded(str):
    """A text in which a variable was put in the place of its name; a number where a number is wanted."""

    __slots__ = ()


@dataclass
class Document:
    values: dict[str, Any]
    lines: dict[ValuePath, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, path: ValuePath) -> int:
        """Of the value, else of the nearest one that holds it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def fault(self, path: ValuePath, message: str) -> Fault:
        return Fault(self.line(path), path, message)


def read_file(path: Path, *, environ: Mapping[str, str] | None = None) -> Document:
    """Raises ConfigRefused when it is not readable or not YAML; further faults are in `Document.faults`.

    `${NAME}` and `${NAME:-default}` are replaced in every text (`$$` is a dollar), and a text `file:/path` is replaced
    by what that file holds, without its last line break.
    """
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigRefused([Fault(0, (), f"{path} cannot be read: {error.strerror}.")]) from error
    if len(text) > LARGEST:
        raise ConfigRefused([Fault(0, (), f"{path} is larger than {LARGEST >> 20} MiB.")])
    return read_text(text.decode("utf-8", "replace"), environ=environ, folder=path.parent)


def read_text(text: str, *, environ: Mapping[str, str] | None = None, folder: Path = Path()) -> Document:
    """As `read_file`; `file:` paths that are not absolute are meant from `folder`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = QUOTED.sub("", error.problem or "not readable")
        raise ConfigRefused([Fault(line, (), f"This is not YAML: {problem}.")]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigRefused([Fault(1, (), "This is not YAML.")]) from error
    document = Document({})
    reader = _Reader(document, os.environ if environ is None else environ, folder)
    if root is None:
        return document
    if not isinstance(root, yaml.MappingNode):
        raise ConfigRefused([Fault(1, (), "The sections global, storage, databases and package-conf are wanted.")])
    document.values = reader.value(root, ())
    return document


class _Reader:
    def __init__(self, document: Document, environ: Mapping[str, str], folder: Path) -> None:
        self._document = document
        self._environ = environ
        self._folder = folder
        self._values = 0
        self._open: set[int] = set()  # nodes above: an alias to one of them would never end

    def value(self, node: yaml.Node, path: ValuePath) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            raise ConfigRefused([self._document.fault(path, "These are too many values.")])
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._open:
            return self._refuse(path, "This refers to what it is part of.")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return dict(self._pairs(node, path))
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.discard(id(node))

    def _pairs(self, node: yaml.MappingNode, path: ValuePath) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            self._document.lines[(*path, name)] = key.start_mark.line + 1
            if name in seen:
                self._refuse((*path, name), "This is given twice.")
                continue
            seen.add(name)
            yield name, self.value(value, (*path, name))

    def _scalar(self, node: yaml.Node, path: ValuePath) -> Any:
        if node.tag == "tag:yaml.org,2002:timestamp":
            return str(node.value)
        if node.tag not in PLAIN_TAGS:
            return self._refuse(path, "This is not a plain value: put a text that begins with ! into quotes.")
        try:
            plain = yaml.SafeLoader("").construct_object(node)
        except (ValueError, LookupError):
            return self._refuse(path, "This is not what its tag says.")
        if not isinstance(plain, str):
            return plain
        if not plain.isascii() and any("\ud800" <= letter <= "\udfff" for letter in plain):
            return self._refuse(path, "This holds half a character.")
        text = self._expand(plain, path)
        return self._contents(text, path) if text.startswith(FILE) else text

    def _expand(self, text: str, path: ValuePath) -> str:
        def put(match: "re.Match[str]") -> str:
            name, default = match["name"], match["default"]
            if name is None:
                return "$"
            found = self._environ.get(name) or default
            if found is None:
                self._refuse(path, f"The variable {name} is not set.")
            return found or ""

        expanded = VARIABLE.sub(put, text)
        return expanded if expanded == text else Expanded(expanded)

    def _contents(self, text: str, path: ValuePath) -> str:
        try:
            with (self._folder / text.removeprefix(FILE)).open(encoding="utf-8") as file:
                return file.read(LARGEST).removesuffix("\n").removesuffix("\r")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            self._refuse(path, f"The file it names cannot be read: {reason}.")
            return ""

    def _refuse(self, path: ValuePath, message: str) -> None:
        self._document.faults.append(self._document.fault(path, message))
