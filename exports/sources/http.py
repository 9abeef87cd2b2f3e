"""A service that answers with the records of one user: the http engine, asked at an address that names the user."""

import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, make_dataclass, replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

from databases.engines import registry
from databases.engines.base import CheckReport, Connection, DumpRequest, Engine, Parent
from exports.sources.base import Part, Reading, ReadRequest, UserSource
from exports.sources.fetch import Fetcher
from exports.sources.http_media import DEEPEST, Finder, auth_headers, path_of
from exports.sources.media import Media

PUBKEY = "{pubkey}"
NOBODY = "0" * 64  # 32 zero bytes are the public key of nobody: no point of the curve has that x
_BLOCK = 64 << 10
_ENGINE = registry.engine_class("http")
_NOT_OURS = frozenset({"restore_url", "restore_batch", "full_every", "schema"})
_OURS = frozenset({"media_path", "media_url", "media_max_bytes"})


def _url_field() -> Any:
    help_text = "Where the records of a user are; {pubkey} stands for the user's public key (64 hex digits)."
    return field(default="", metadata={"help": f"{help_text} {{collection}} stands for a collection's name."})


def _media_fields() -> list[Any]:
    path = "Where a record names files by URL, for example photos.url (empty: files are not fetched)."
    own = "Where the service's own files lie, for example https://shop.example.com/photos/: below it, and only there, "
    own += "they are asked for with its credentials. {pubkey} as above."
    largest = "Larger files are left out."
    return [
        ("media_path", str, field(default="", metadata={"help": path})),
        ("media_url", str, field(default="", metadata={"help": own})),
        ("media_max_bytes", int, field(default=100 << 20, metadata={"help": largest})),
    ]


def _options() -> type:
    """The engine's, without what restores and drills need, and where files are."""
    hints = typing.get_type_hints(_ENGINE.Options)
    taken: list[Any] = [
        (one.name, hints[one.name], _url_field() if one.name == "url" else _copied(one))
        for one in fields(_ENGINE.Options)
        if one.name not in _NOT_OURS
    ]
    return make_dataclass("HttpSourceOptions", [*taken, *_media_fields()], frozen=True)


def _copied(one: Any) -> Any:
    return field(default=one.default, default_factory=one.default_factory, repr=one.repr, metadata=one.metadata)


class HttpSource(UserSource):
    kind: ClassVar[str] = "http"
    label: ClassVar[str] = "HTTP service"
    about: ClassVar[str] = "The records of one user, read over HTTP as JSON."
    Options: ClassVar[type] = _options()
    connection_fields: ClassVar[frozenset[str]] = frozenset({"username", "password"})

    @classmethod
    def validate(cls, connection: Connection, options: Any) -> dict[str, str]:
        if PUBKEY not in options.url:
            return {"options.url": f"Say with {PUBKEY} where the public key goes: without it everybody gets all."}
        engine = _engine(connection, replace(options, url=options.url.replace(PUBKEY, NOBODY)), {})
        faults = dict(_ENGINE.validate(engine.connection, engine.options))
        if PUBKEY in options.url.partition("://")[2].partition("/")[0]:
            faults["options.url"] = "The host and the port are fixed."
        if not all(path_of(options.media_path)) or len(path_of(options.media_path)) > DEEPEST:
            faults["options.media_path"] = f"Names joined by single dots, at most {DEEPEST} of them."
        if options.media_url and (text := _media_url_fault(options)):
            faults["options.media_url"] = text
        if not 1 <= options.media_max_bytes <= 10 << 30:
            faults["options.media_max_bytes"] = f"A number from 1 to {10 << 30}."
        return faults

    @property
    def collections(self) -> tuple[str, ...]:
        return _ENGINE.collections(_as_dict(self.options))

    def check(self) -> CheckReport:
        """Asks for the records of nobody: that there are none is no warning."""
        report = self._asking(NOBODY).check()
        return replace(report, warnings=tuple(text for text in report.warnings if "would be empty" not in text))

    @contextmanager
    def read(self, request: ReadRequest) -> Iterator[Reading]:
        yield _Reading(self, request)

    def _asking(self, pubkey: str, collection: str | None = None) -> Engine:
        changes = {"url": self.options.url.replace(PUBKEY, pubkey)}
        if collection is not None and self.options.collection:
            changes["collection"] = collection
        return _engine(self.connection, replace(self.options, **changes), self.settings)


@dataclass
class _Reading:
    """Collection by collection, each a dump of its own."""

    source: HttpSource
    request: ReadRequest

    def __post_init__(self) -> None:
        self.facts: dict[str, Any] = {"collections": {}}
        options, guard = self.source.options, self.request.guard
        files = options.media_url.replace(PUBKEY, self.request.pubkey)
        own = {files: auth_headers(self.source.connection, options)} if files else {}
        fetcher = Fetcher(
            self.source.settings, guard, timeout_s=options.timeout_s, max_bytes=options.media_max_bytes, own=own
        )
        self._media = Media(fetcher, guard.log)
        self._finder = Finder(path_of(options.media_path), options.url) if options.media_path else None

    def __iter__(self) -> Iterator[Part]:
        for collection in self.request.select or self.source.collections:
            part = Part(f"{collection}.ndjson", ())
            part.blocks = self._blocks(collection, part)
            yield part
        if self._finder:
            yield from self._media.parts()
            self.facts["media"] = self._media.facts()

    def _blocks(self, collection: str, part: Part) -> Iterator[bytes]:
        engine, request = self._asked(collection)
        engine.preflight(request)
        with engine.dump(request) as dump, memoryview(bytearray(_BLOCK)) as buffer:
            while count := dump.readinto(buffer):
                block = bytes(buffer[:count])
                if self._finder:
                    self._media.want(self._finder.feed(block))
                yield block
            manifest = dict(dump.manifest)
        part.facts["records"] = manifest["records"]
        self.facts["collections"][collection] = {
            "records": manifest["records"],
            "since": manifest["since"],
            "continue": manifest,
        }

    def _asked(self, collection: str) -> tuple[Engine, DumpRequest]:
        """Incremental where the last export has left what to continue from, and the source is asked the same way."""
        engine = self.source._asking(self.request.pubkey, collection)
        last: Mapping[str, Any] = (self.request.parent or {}).get("collections", {}).get(collection, {})
        before = last.get("continue")
        if before and engine.continues(before):
            return engine, DumpRequest(guard=self.request.guard, type="incremental", parent=Parent(before))
        return engine, DumpRequest(guard=self.request.guard)


def _media_url_fault(options: Any) -> str:
    """What is wrong with it; the engine knows what an address is."""
    url = options.media_url
    engine = _engine(Connection(), replace(options, url=url.replace(PUBKEY, NOBODY)), {})
    if text := _ENGINE.validate(engine.connection, engine.options).get("options.url"):
        return text
    if "{collection}" in url or PUBKEY in urlsplit(url).netloc:
        return f"Only {PUBKEY} may stand in it, and not in the host."
    return "" if url.endswith("/") and "?" not in url else "It ends with a slash: what lies below it is fetched."


def _engine(connection: Connection, options: Any, settings: Mapping[str, Any]) -> Engine:
    return registry.build("http", connection, _as_dict(options), settings)


def _as_dict(options: Any) -> dict[str, Any]:
    """Those that the engine knows."""
    return {one.name: getattr(options, one.name) for one in fields(options) if one.name not in _OURS}
