"""Every fault of a configuration is said at once, and no secret is repeated."""

from typing import Any

import pytest

from databases.engines.base import Connection
from databases.engines.mongodb.engine import MongoEngine
from databases.engines.mongodb.login import login, uri_of
from databases.engines.mongodb.options import MongoOptions

SHOP = Connection("db.example.com", None, "u", "p", "shop")
PEM = "-----BEGIN {0}-----\nAAAA\n-----END {0}-----\n"
BOTH = PEM.format("CERTIFICATE") + PEM.format("PRIVATE KEY")


def faults(connection: Connection, **options: Any) -> set[str]:
    return set(MongoEngine.validate(connection, MongoOptions(**options)))


@pytest.mark.parametrize(
    ("connection", "options"),
    [
        (SHOP, {}),
        (Connection("::1", 27018), {"replica_set": "rs0"}),
        (Connection(), {"uri": "mongodb+srv://u:p%40@cluster.example.com/?retryWrites=true"}),
        (Connection(database_name="shop"), {"uri": "mongodb://u:p@a:1,[::1]:2,c/shop?replicaSet=rs0"}),
        (Connection(), {"uri": "mongodb://a/admin"}),
        (Connection("h", None, "CN=me"), {"tls": True, "certificate_key": BOTH, "auth_source": "$external"}),
        (Connection("h"), {"oplog": True}),
    ],
)
def test_a_sensible_configuration_has_no_faults(connection: Connection, options: dict[str, Any]) -> None:
    assert faults(connection, **options) == set()


@pytest.mark.parametrize(
    ("connection", "options", "fields"),
    [
        (Connection(), {}, {"host"}),
        (Connection("a,b", 0, "u", "", "sh op"), {}, {"host", "port", "password", "database_name"}),
        (SHOP, {"uri": "mongodb://h"}, {"host", "username", "password"}),
        (Connection(), {"uri": "http://h"}, {"options.uri"}),
        (Connection(), {"uri": "mongodb://u:p@ss@h"}, {"options.uri"}),
        (Connection(), {"uri": "mongodb://u:pass@h:port"}, {"options.uri"}),
        (Connection(), {"uri": "mongodb+srv://h:27017"}, {"options.uri"}),
        (Connection(), {"uri": "mongodb://h/shop"}, {"database_name"}),
        (
            Connection(),
            {"uri": "mongodb://h/?authSource=a&replicaSet=r", "auth_source": "b", "replica_set": "s"},
            {"options.auth_source", "options.replica_set"},
        ),
        (SHOP, {"oplog": True}, {"options.oplog"}),
        (Connection("h"), {"oplog": True, "exclude_collections": ("a",)}, {"options.oplog"}),
        (SHOP, {"include_collections": ("",)}, {"options.include_collections"}),
        (SHOP, {"tls": True, "ca": "no", "certificate_key": "no"}, {"options.ca", "options.certificate_key"}),
        (SHOP, {"ca": PEM.format("CERTIFICATE")}, {"options.tls"}),
        (SHOP, {"auth_source": "$external"}, {"options.certificate_key", "password"}),
    ],
)
def test_each_fault_is_named_by_its_field(connection: Connection, options: dict[str, Any], fields: set[str]) -> None:
    assert faults(connection, **options) == fields


def test_a_fault_of_a_uri_does_not_repeat_it() -> None:
    for uri in (
        "mongodb://u:canary@h@x",
        "canary://h",
        "mongodb://u:canary@h:port",
        "mongodb://:canary@h",
        "mongodb://a b",
    ):
        texts = MongoEngine.validate(Connection(), MongoOptions(uri=uri))
        assert "canary" not in str(texts)
        assert "options.uri" in texts


@pytest.mark.parametrize(
    ("connection", "options", "address"),
    [
        (SHOP, {}, "db.example.com/shop"),
        (Connection("h", 27018), {}, "h:27018"),
        (Connection(), {}, "uri"),
        (Connection(database_name="shop"), {}, "uri/shop"),
    ],
)
def test_an_address_is_short_and_holds_no_secret(connection: Connection, options: Any, address: str) -> None:
    assert MongoEngine.address(connection, options) == address


@pytest.mark.parametrize(
    ("connection", "options", "parts"),
    [
        (SHOP, {}, ["mongodb://u:p@db.example.com:27017/?", "authSource=admin", "directConnection=true"]),
        (SHOP, {"replica_set": "rs0", "auth_source": "shop"}, ["authSource=shop", "replicaSet=rs0"]),
        (Connection(), {"uri": "mongodb://u:p@h/users"}, ["mongodb://u:p@h/?", "authSource=users"]),
        (Connection(), {"uri": "mongodb+srv://u:p@h/"}, ["mongodb+srv://u:p@h/?appName="]),
        (Connection("::1", 1, "ü:", "/@ %"), {}, ["mongodb://%C3%BC%3A:%2F%40%20%25@[::1]:1/?"]),
    ],
)
def test_one_string_says_where_and_who(connection: Connection, options: Any, parts: list[str]) -> None:
    text = uri_of(connection, MongoOptions(**options)).text()
    assert [part for part in parts if part not in text] == []
    assert "/shop?" not in text, "a database in the path would narrow a dump of all"


def test_secrets_lie_in_files_that_only_we_can_read_and_are_gone_afterwards() -> None:
    options = MongoOptions(tls=True, ca=PEM.format("CERTIFICATE"), certificate_key=BOTH)
    with login(SHOP, options) as who:
        folder = who.config.parent
        files = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert files == {"config.yaml": 0o600, "tlsCAFile.pem": 0o600, "tlsCertificateKeyFile.pem": 0o600}
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
