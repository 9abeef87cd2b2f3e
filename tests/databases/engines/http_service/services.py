"""Engines for a service of records."""

from typing import Any

from databases.engines.base import Connection, DumpRequest
from databases.engines.http_service.engine import HttpEngine
from databases.engines.registry import build
from tests.contracts.engines import Dumped, RecordingGuard, dump_of
from tests.servers.records import RecordsServer

FORMS: dict[str, dict[str, Any]] = {
    "list": {},
    "lines": {},
    "page": {"records_path": "data.items", "pagination": "page"},
    "cursor": {"records_path": "items", "pagination": "cursor", "cursor_path": "meta.next"},
    "link": {"pagination": "link"},
}


def engine_for(service: RecordsServer, form: str = "list", **options: Any) -> HttpEngine:
    """For `users` unless `collection` says otherwise. `username` and `password` are the connection's."""
    connection = Connection(username=options.pop("username", ""), password=options.pop("password", ""))
    settings = options.pop("settings", None)
    url = f"{service.url}/{form}/{{collection}}"
    given = {"url": url, "collection": "users", "restore_url": f"{service.url}/in/{{collection}}", **FORMS[form]}
    engine = build("http", connection, {**given, **options}, settings)
    assert isinstance(engine, HttpEngine)
    assert engine.validate(connection, engine.options) == {}
    return engine


def dumped(service: RecordsServer, form: str = "list", request: DumpRequest | None = None, **options: Any) -> Dumped:
    return dump_of(engine_for(service, form, **options), request)


def full(**values: Any) -> DumpRequest:
    return DumpRequest(guard=RecordingGuard(), **values)
