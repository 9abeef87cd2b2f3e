"""Masking of documents on their way into mongorestore: what is to be masked never reaches the server as it was.

The fields that rules name are replaced in the BSON itself, and every other byte stays as it is.
"""

import hmac
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from databases.engines.fakes import fake
from databases.engines.proof import Mask
from databases.engines.rules import rule_fault
from jobs.errors import BackupError

DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED, OBJECT_ID, NULL, SYMBOL, INT32, INT64 = (
    *(0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0A, 0x0E, 0x10, 0x12),
)
SIZES = {DOUBLE: 8, UNDEFINED: 0, OBJECT_ID: 12, 0x08: 1, 0x09: 8, NULL: 0, INT32: 4, 0x11: 8, INT64: 8, 0x13: 16}
SIZES |= {0x7F: 0, 0xFF: 0}
PREFIXED = {STRING: 4, DOCUMENT: 0, ARRAY: 0, BINARY: 5, 0x0C: 16, 0x0D: 4, SYMBOL: 4, 0x0F: 0}  # beside its length
NAMES = {0x08: "a boolean", 0x09: "a date", DOCUMENT: "a document", 0x13: "a decimal", 0x11: "a timestamp"}
GENERIC, OLD_UUID, UUID = 0, 3, 4  # subtypes of binary
_INT = struct.Struct("<i")

Value = tuple[int, bytes]  # a BSON type and its bytes


def mask_fault(mask: Mask) -> str:
    if not mask.item or mask.item.startswith("."):
        return "Name the collection: customers, or shop.customers."
    if mask.column == "_id" and mask.method in ("null", "fixed"):
        return "_id tells documents apart: use hash or fake."
    if mask.column and not all(mask.column.split(".")):
        return "Give the path of a field: email, or contact.email."
    return rule_fault(mask)


@dataclass
class _Node:
    """Of a tree of paths: what is done to the value itself, or to fields below it."""

    replace: "_Replacement | None" = None
    number: int = -1
    below: dict[bytes, "_Node"] = field(default_factory=dict)


class Masking:
    """The rules of one restore, with its key. `rows` counts documents by `item.column`."""

    def __init__(self, rules: Mapping[tuple[str, str], Sequence[Mask]]) -> None:
        """`rules` are by the archive's database and collection."""
        self._key = secrets.token_bytes(32)
        self._names: list[str] = []
        self._counts: list[int] = []
        self._trees = {stored: self._tree(masks) for stored, masks in rules.items()}

    @property
    def rows(self) -> dict[str, int]:
        return dict(zip(self._names, self._counts, strict=True))

    def notes(self) -> tuple[str, ...]:
        nothing = [name for name, count in self.rows.items() if not count]
        return (f"No document has what these masking rules name: {', '.join(nothing)}.",) if nothing else ()

    def masks(self, stored: tuple[str, str]) -> bool:
        return stored in self._trees

    def document(self, stored: tuple[str, str], raw: bytes) -> bytes:
        """Raises BackupError: masking_failed for a value that a rule does not fit, structure for no sound BSON."""
        touched: set[int] = set()
        try:
            masked = _masked(raw, self._trees[stored], touched)
        except (ValueError, IndexError, KeyError, struct.error) as error:
            raise BackupError("A document of the archive is no sound BSON.", code="structure") from error
        for number in touched:
            self._counts[number] += 1
        return masked

    def _tree(self, masks: Sequence[Mask]) -> _Node:
        root = _Node()
        for mask in masks:
            node = root
            for name in mask.column.encode().split(b"."):
                node = node.below.setdefault(name, _Node())
            node.replace, node.number = _Replacement(mask, self._key), len(self._names)
            self._names.append(f"{mask.item}.{mask.column}")
            self._counts.append(0)
        return root


def _masked(raw: bytes, node: _Node, touched: set[int]) -> bytes:
    """The document, or array, with what stands below `node` replaced. An array's elements are its fields each."""
    parts, copied, at = [], 4, 4
    while kind := raw[at]:
        value_at = raw.index(0, at + 1) + 1
        end = value_at + _size(kind, raw, value_at)
        found = node.below.get(raw[at + 1 : value_at - 1])
        if found is not None:
            new, value = _replaced(kind, raw[value_at:end], found, touched)
            parts += [raw[copied:at], bytes([new]), raw[at + 1 : value_at], value]
            copied = end
        at = end
    if at + 1 != len(raw):
        raise ValueError("bytes behind the end")
    body = b"".join([*parts, raw[copied:]])
    return _INT.pack(len(body) + 4) + body


def _replaced(kind: int, value: bytes, node: _Node, touched: set[int]) -> Value:
    if node.replace is not None:
        if kind == ARRAY and not node.replace.whole:
            return kind, _each(value, node, touched)
        touched.add(node.number)
        return node.replace(kind, value)
    if kind == ARRAY:
        return kind, _each(value, node, touched)
    return (kind, _masked(value, node, touched)) if kind == DOCUMENT else (kind, value)


def _each(array: bytes, node: _Node, touched: set[int]) -> bytes:
    every = _Node()
    every.below = _Anything(node)
    return _masked(array, every, touched)


class _Anything(dict[bytes, _Node]):
    """The same node under every name."""

    def __init__(self, node: _Node) -> None:
        self._node = node

    def get(self, name: bytes, default: Any = None) -> Any:
        return self._node


def _size(kind: int, raw: bytes, at: int) -> int:
    if kind in SIZES:
        return SIZES[kind]
    if kind == 0x0B:  # a regular expression: two texts
        return raw.index(0, raw.index(0, at) + 1) + 1 - at
    length: int = _INT.unpack_from(raw, at)[0] + PREFIXED[kind]
    if length < 4 or at + length >= len(raw):
        raise ValueError("a value longer than its document")
    return length


class _Replacement:
    """What one rule does to a value. `whole`: to an array as such, else to each of its elements."""

    def __init__(self, mask: Mask, key: bytes) -> None:
        self._mask, self._key = mask, key
        self.whole = mask.method in ("null", "fixed")

    def __call__(self, kind: int, value: bytes) -> Value:
        if self._mask.method == "null":
            return NULL, b""
        if self._mask.method == "fixed":
            return _text(self._mask.value)
        if kind in (NULL, UNDEFINED):
            return kind, value
        if self._mask.method == "fake" and kind in (STRING, SYMBOL):
            return _text(fake(self._mask.value, self._digest(value[4:-1])))
        hashed = self._hashed(kind, value) if self._mask.method == "hash" else None
        if hashed is None:
            what = NAMES.get(kind, f"a value of type {kind}")
            fits = "texts, numbers, ids and binary" if self._mask.method == "hash" else "texts"
            raise BackupError(
                f"{self._mask.item} has {what} in {self._mask.column}: {self._mask.method} masks {fits}.",
                code="masking_failed",
                permanent=True,
                hint="Use null or fixed for it. What was restored by then is masked.",
            )
        return hashed

    def _hashed(self, kind: int, value: bytes) -> Value | None:
        if kind in (STRING, SYMBOL):
            return _text(self._digest(value[4:-1]).hex())
        if kind in (INT32, INT64):
            digest = self._digest(b"%d" % int.from_bytes(value, "little", signed=True))
            return kind, (int.from_bytes(digest[: len(value)], "big") >> 1).to_bytes(len(value), "little")
        if kind == DOUBLE:
            (number,) = struct.unpack("<d", value)
            digest = self._digest(b"%d" % number if number.is_integer() else value)
            return kind, struct.pack("<d", float(int.from_bytes(digest[:8], "big") >> 11))
        if kind == OBJECT_ID:
            return kind, self._digest(value)[:12]
        if kind == BINARY and value[4] in (GENERIC, OLD_UUID, UUID):
            digest = self._digest(value[5:])[: 32 if value[4] == GENERIC else 16]
            return kind, _INT.pack(len(digest)) + value[4:5] + digest
        return None

    def _digest(self, value: bytes) -> bytes:
        return hmac.digest(self._key, value, "sha256")


def _text(text: str) -> Value:
    data = text.encode() + b"\0"
    return STRING, _INT.pack(len(data)) + data
