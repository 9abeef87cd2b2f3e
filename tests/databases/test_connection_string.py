"""Connection strings as they are pasted, read into fields; secrets are named by their place only."""

from typing import Any

import pytest

from databases.connection_string import read_connection_string
from databases.engines import registry
from databases.engines.base import Connection
from jobs.errors import BackupError

PG = {"host": "db.example.org", "port": 5433, "username": "shop", "database_name": "shop"}
BUCKET = {"options.bucket": "photos", "options.prefix": "", "options.endpoint_url": ""}

READ: list[tuple[str, str, dict[str, Any], dict[str, str]]] = [
    ("postgres", "postgres://shop:p%40ss@db.example.org:5433/shop", PG, {"password": "p@ss"}),
    ("postgres", "postgresql://shop:p@ss:1@db.example.org:5433/shop", PG, {"password": "p@ss:1"}),
    (
        "postgres",
        " postgresql://db.example.org:5433/shop?user=shop&password=a%26b&sslmode=require ",
        {**PG, "options.sslmode": "require"},
        {"password": "a&b"},
    ),
    ("postgres", "postgres://shop@[::1]/shop", {**PG, "host": "::1", "port": ""}, {}),
    (
        "mongodb",
        "mongodb://backup:s%C3%A9cret@db.example.org:27018/shop?authSource=admin&replicaSet=rs0&tls=true",
        {
            "host": "db.example.org",
            "port": 27018,
            "username": "backup",
            "database_name": "shop",
            "options.auth_source": "admin",
            "options.replica_set": "rs0",
            "options.tls": True,
            "options.uri-remove": True,
            "password-remove": False,
        },
        {"password": "sécret"},
    ),
    (
        "mongodb",
        "mongodb+srv://backup:s%C3%A9cret@cluster.example.org/shop?retryWrites=true\n",
        {
            "host": "",
            "port": "",
            "username": "",
            "database_name": "shop",
            "options.auth_source": "",
            "options.replica_set": "",
            "options.tls": False,
            "password-remove": True,
        },
        {"options.uri": "mongodb+srv://backup:s%C3%A9cret@cluster.example.org/shop?retryWrites=true"},
    ),
    (
        "s3",
        "s3://AK:se%2Fcret@photos/2026/?region=eu-west-1&endpoint=https://s3.example.org",
        {
            "options.bucket": "photos",
            "options.prefix": "2026/",
            "options.endpoint_url": "https://s3.example.org",
            "options.region": "eu-west-1",
            "options.access_key": "AK",
        },
        {"options.secret_key": "se/cret"},
    ),
    (
        "s3",
        "https://AK:canary-1@store.example.org:9000/photos/2026/",
        {
            "options.bucket": "photos",
            "options.prefix": "2026/",
            "options.endpoint_url": "https://store.example.org:9000",
            "options.access_key": "AK",
        },
        {"options.secret_key": "canary-1"},
    ),
    ("s3", "https://photos.s3.eu-central-1.amazonaws.com/", {**BUCKET, "options.region": "eu-central-1"}, {}),
    ("s3", "https://s3.eu-central-1.amazonaws.com/photos", {**BUCKET, "options.region": "eu-central-1"}, {}),
    (
        "http",
        "https://me:tok%3Aen@crm.example.org/api/{collection}?active=1",
        {
            "options.url": "https://crm.example.org/api/{collection}?active=1",
            "username": "me",
            "options.auth": "basic",
        },
        {"password": "tok:en"},
    ),
    ("http", "http://crm.example.org:8080", {"options.url": "http://crm.example.org:8080"}, {}),
    ("sqlite", "sqlite:////srv/shop.sqlite3", {"options.path": "/srv/shop.sqlite3"}, {}),
]


@pytest.mark.parametrize(("engine", "text", "fields", "secrets"), READ)
def test_it_is_read_into_the_fields_of_its_engine(
    engine: str, text: str, fields: dict[str, Any], secrets: dict[str, str]
) -> None:
    read = read_connection_string(text, engine=engine)
    assert read.fields == fields
    assert {name: span.of(text) for name, span in read.secrets.items()} == secrets
    assert not any(secret in str(read) for secret in secrets.values())


@pytest.mark.parametrize(("engine", "text", "fields", "secrets"), READ)
def test_what_is_read_is_what_the_engine_takes(
    engine: str, text: str, fields: dict[str, Any], secrets: dict[str, str]
) -> None:
    read = read_connection_string(text, engine=engine)
    given = {**read.fields, **{name: span.of(text) for name, span in read.secrets.items()}}
    given = {name: value for name, value in given.items() if not name.endswith("-remove") and value != ""}
    options = {name.removeprefix("options."): value for name, value in given.items() if name.startswith("options.")}
    connection = Connection(**{name: value for name, value in given.items() if not name.startswith("options.")})
    built = registry.build(engine, connection, options)
    faults = built.validate(built.connection, built.options)
    assert {name: text for name, text in faults.items() if "collection" not in name} == {}


def test_parameters_that_no_field_takes_are_named() -> None:
    read = read_connection_string("postgres://a@db/x?connect_timeout=3&application_name=b", engine="postgres")
    assert read.left_out == ["connect_timeout", "application_name"]


@pytest.mark.parametrize("kind", registry.kinds())
@pytest.mark.parametrize(
    "text",
    [
        "",
        "canary",
        "ftp://canary:canary@db/canary",
        "postgres:/canary",
        "postgres://a:b@c/" + "canary" * 1000,
        "a://\0",
    ],
)
def test_anything_else_is_refused_without_repeating_it(kind: str, text: str) -> None:
    with pytest.raises(BackupError) as refused:
        read_connection_string(text, engine=kind)
    assert refused.value.code == "invalid_connection_string"
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgres://shop:a/b@db.example.org/shop", "percent-encoded"),
        ("postgres://shop:a#b@db.example.org/shop", "scheme://"),
        ("postgres://one,two/shop", "several hosts"),
        ("mongodb://db/shop", "begins with postgres://"),
    ],
)
def test_a_refusal_says_what_to_do(text: str, told: str) -> None:
    with pytest.raises(BackupError, match=told):
        read_connection_string(text, engine="postgres")
