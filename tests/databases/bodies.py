"""What one registers for each engine, right and wrong; secrets hold CANARY."""

from dataclasses import dataclass, field
from typing import Any

from databases.engines import registry

CANARY = "s3cr3t-canary-41"
URL = "https://crm.example.org/api"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----"


@dataclass(frozen=True)
class Body:
    """`plain` is a body of POST /api/databases without secrets; `secrets` are secret options that go with it."""

    plain: dict[str, Any]
    secrets: dict[str, Any] = field(default_factory=dict)
    wrong: list[tuple[dict[str, Any], str]] = field(default_factory=list)


BODIES: dict[str, Body] = {
    "postgres": Body(
        plain={"host": "db.example.org", "database_name": "shop", "username": "shop"},
        wrong=[
            ({"host": ""}, "host"),
            ({"username": ""}, "username"),
            ({"database_name": ""}, "database_name"),
            ({"options": {"sslmode": CANARY}}, "options.sslmode"),
            ({"options": {"sslcert": CERTIFICATE, "sslkey": f"no PEM {CANARY}"}}, "options.sslkey"),
            ({"options": {"sslkey": [CANARY]}}, "options.sslkey"),
            ({"options": {"include_tables": "orders"}}, "options.include_tables"),
            ({"options": {"bucket": CANARY}}, "options.bucket"),
        ],
    ),
    "mongodb": Body(
        plain={"database_name": "shop", "options": {"replica_set": "rs0", "exclude_collections": ["sessions"]}},
        secrets={"uri": f"mongodb://backup:{CANARY}@db.example.org/?tls=true"},
        wrong=[
            ({}, "host"),
            ({"host": "a b"}, "host"),
            ({"host": "db", "username": "backup"}, "password"),
            ({"host": "db", "options": {"uri": f"mongodb://me:{CANARY}@db"}}, "host"),
            ({"options": {"uri": CANARY}}, "options.uri"),
            ({"options": {"uri": {"mongodb": CANARY}}}, "options.uri"),
            ({"host": "db", "database_name": "a b"}, "database_name"),
            ({"host": "db", "options": {"oplog": True}}, "options.oplog"),
            ({"host": "db", "options": {"oplog": CANARY}}, "options.oplog"),
            ({"host": "db", "options": {"tls": True, "ca": CANARY}}, "options.ca"),
            ({"host": "db", "options": {"tls": True, "certificate_key": CANARY}}, "options.certificate_key"),
            ({"host": "db", "options": {"include_collections": [" "]}}, "options.include_collections"),
            ({"host": "db", "options": {"include_collections": "orders"}}, "options.include_collections"),
            ({"host": "db", "options": {"bucket": CANARY}}, "options.bucket"),
        ],
    ),
    "sqlite": Body(
        plain={"options": {"path": "/srv/shop/shop.sqlite3"}},
        wrong=[
            ({"options": {}}, "options.path"),
            ({"options": {"path": "shop.sqlite3"}}, "options.path"),
            ({"options": {"path": "/srv/../etc/shop.sqlite3"}}, "options.path"),
            ({"options": {"path": "/srv/shop.sqlite3", "bucket": CANARY}}, "options.bucket"),
        ],
    ),
    "http": Body(
        plain={
            "options": {
                "url": "https://crm.example.org/api/{collection}",
                "collection": "users, orders",
                "auth": "bearer",
                "records_path": "data.items",
            }
        },
        secrets={"token": CANARY, "headers": {"X-Tenant": CANARY, "X-Trace": "a: b"}},
        wrong=[
            ({"options": {}}, "options.url"),
            ({"options": {"url": "ftp://crm.example.org"}}, "options.url"),
            ({"options": {"url": f"https://me:{CANARY}@crm.example.org"}}, "options.url"),
            ({"options": {"url": URL, "collection": "a,,b"}}, "options.collection"),
            ({"options": {"url": URL, "headers": {"Host": CANARY}}}, "options.headers"),
            ({"options": {"url": URL, "headers": {"X-Tenant": [CANARY]}}}, "options.headers"),
            ({"options": {"url": URL, "headers": CANARY}}, "options.headers"),
            ({"options": {"url": URL, "auth": CANARY}}, "options.auth"),
            ({"options": {"url": URL, "auth": "bearer"}}, "options.token"),
            ({"options": {"url": URL, "auth": "bearer", "token": f"a {CANARY}"}}, "options.token"),
            ({"options": {"url": URL, "token": CANARY}}, "options.token"),
            ({"options": {"url": URL, "auth": "basic"}}, "username"),
            ({"username": "me", "options": {"url": URL}}, "username"),
            ({"password": CANARY, "options": {"url": URL}}, "password"),
            ({"options": {"url": URL, "pagination": "cursor"}}, "options.cursor_path"),
            ({"options": {"url": URL, "records_path": "a..b"}}, "options.records_path"),
            ({"options": {"url": URL, "since_param": "a b"}}, "options.since_param"),
            ({"options": {"url": URL, "restore_url": CANARY}}, "options.restore_url"),
            ({"options": {"url": URL, "timeout_s": 0}}, "options.timeout_s"),
            ({"options": {"url": URL, "max_bytes": "many"}}, "options.max_bytes"),
            ({"options": {"url": URL, "ca": CANARY}}, "options.ca"),
            ({"options": {"url": URL, "bucket": CANARY}}, "options.bucket"),
        ],
    ),
    "s3": Body(
        plain={"options": {"bucket": "photos", "access_key": "AK"}},
        secrets={"secret_key": CANARY},
        wrong=[
            ({"options": {}}, "options.bucket"),
            ({"options": {"bucket": "a b"}}, "options.bucket"),
            ({"options": {"bucket": "photos", "secret_key": CANARY}}, "options.access_key"),
            ({"options": {"bucket": "photos", "access_key": "AK"}}, "options.secret_key"),
            ({"options": {"bucket": "photos", "access_key": "AK", "secret_key": {"x": CANARY}}}, "options.secret_key"),
            ({"options": {"bucket": "photos", "endpoint_url": f"https://me:{CANARY}@host"}}, "options.endpoint_url"),
            ({"options": {"bucket": "photos", "parallel": 0}}, "options.parallel"),
            ({"options": {"bucket": "photos", "parallel": "many"}}, "options.parallel"),
            ({"options": {"bucket": "photos", "full_every": True}}, "options.full_every"),
            ({"options": {"bucket": "photos", "include": ["x" * 5000]}}, "options.include"),
            ({"options": {"bucket": "photos", "ca": CANARY}}, "options.ca"),
            ({"options": {"bucket": "photos", "oplog": CANARY}}, "options.oplog"),
        ],
    ),
}


def registered() -> list[str]:
    return [kind for kind in BODIES if kind in registry.ENGINES]


def wrongs() -> list[tuple[str, dict[str, Any], str]]:
    return [(kind, change, name) for kind in registered() for change, name in BODIES[kind].wrong]


def body_of(kind: str, **more: Any) -> dict[str, Any]:
    """With its secrets."""
    body = {"name": kind, "engine": kind, **BODIES[kind].plain, **more}
    return {**body, "options": {**body.get("options", {}), **BODIES[kind].secrets}}
