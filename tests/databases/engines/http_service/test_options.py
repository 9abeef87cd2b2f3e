"""What can be set for a service, and every fault of it at once."""

from typing import Any

import pytest

from databases.engines.base import Connection
from databases.engines.http_service.engine import HttpEngine
from databases.engines.http_service.options import HttpOptions
from databases.engines.http_service.urls import fill, shown, with_parameters
from databases.engines.registry import option_fields, secret_option_names

URL = "https://crm.example.org/api"


def faults(connection: Connection | None = None, **options: Any) -> set[str]:
    return set(HttpEngine.validate(connection or Connection(), HttpOptions(**{"url": URL, **options})))


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost:8000", "https://crm.example.org/a/b?key=x%20y", "http://[::1]:80/x", "http://10.0.0.1/"),
        *("https://xn--mnchen-3ya.example/x",),
    ],
)
def test_addresses_of_services_are_taken(url: str) -> None:
    assert faults(url=url) == set()


@pytest.mark.parametrize(
    "url",
    [
        *("", "crm.example.org/x", "ftp://h/x", "file:///etc/passwd", "http://", "http:///x", "https://h:0/", "x"),
        *("http://user:pw@h/", "http://user@h/", "http://h/a b", "http://h/\n", "http://h/#x", "http://h:99999/"),
        *("http://münchen.example/", "http://h/{id}", "http://{collection}.h/x", "http://[::1/", "http://h\\@g/"),
        *("http://h/ü", "http://h%20h/", "http://[fe80::1%25eth0]/"),
    ],
)
def test_what_is_no_address_of_a_service_is_told(url: str) -> None:
    assert "options.url" in faults(url=url, collection="users")
    if url:
        assert "options.restore_url" in faults(restore_url=url, collection="users")


def test_every_fault_is_told_at_once() -> None:
    found = HttpEngine.validate(
        Connection(username="a:b", password="x\n"),
        HttpOptions(
            url="http://u:canary@h",
            restore_url="nowhere",
            collection="a,,b",
            headers={"X Y": "canary"},
            auth="bearer",
            records_path=".a",
            cursor_path="a..b",
            pagination="cursor",
            cursor_param="",
            since_param="a b",
            page_size=5,
            full_every=0,
            restore_batch=0,
            max_bytes=0,
            max_pages=0,
            timeout_s=0,
            page_start=-1,
            ca="canary",
        ),
    )
    names = {name.removeprefix("options.") for name in found}
    assert names == {
        *("username", "password", "url", "restore_url", "collection", "headers", "token", "records_path"),
        *("cursor_path", "cursor_param", "since_param", "page_size", "full_every", "restore_batch", "max_bytes"),
        *("max_pages", "timeout_s", "page_start", "ca"),
    }
    assert "canary" not in str(found)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"url": URL + "/{collection}"}, "collection"),
        ({"collection": "a,b"}, "collection"),
        ({"url": URL + "/{collection}", "collection": "a,a"}, "collection"),
        ({"url": URL + "/{collection}", "collection": ".."}, "collection"),
        ({"url": URL + "/{collection}", "collection": "a,b", "restore_url": URL}, "restore_url"),
        ({"pagination": "cursor", "cursor_path": "next"}, "records_path"),
        ({"pagination": "page", "page_param": ""}, "page_param"),
        ({"auth": "bearer", "token": "a b"}, "token"),
        ({"auth": "bearer", "token": "é"}, "token"),
        ({"token": "x"}, "token"),
        ({"auth": "bearer", "token": "x", "headers": {"authorization": "x"}}, "headers"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers"),
        ({"headers": {"X-A\r\n": "a"}}, "headers"),
        ({"headers": {"X-A": "é"}}, "headers"),
        ({"url": "http://h/x", "ca": "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----"}, "ca"),
    ],
)
def test_options_that_do_not_fit_together_are_told(options: dict[str, Any], fault: str) -> None:
    assert faults(**options) == {f"options.{fault}"}


def test_user_and_password_go_with_basic() -> None:
    assert faults(Connection(username="a", password="b"), auth="basic") == set()
    assert faults(Connection(username="a", password="b")) == {"username", "password"}
    assert faults(auth="basic") == {"username"}


def test_the_secrets_are_marked() -> None:
    assert secret_option_names("http") == {"headers", "token"}
    assert {field.name: field.type for field in option_fields("http")}["headers"] == "dict"
    shown_options = repr(HttpOptions(url=URL, token="canary", headers={"X-Key": "canary"}))
    assert "canary" not in shown_options


def test_collections_are_known_from_what_is_stored() -> None:
    assert HttpEngine.collections({"url": URL}) == ("records",)
    assert HttpEngine.collections({"collection": "users"}) == ("users",)
    assert HttpEngine.collections({"collection": " users , orders"}) == ("users", "orders")


def test_an_address_for_lists_is_without_its_query() -> None:
    assert HttpEngine.address(Connection(), {"url": f"{URL}/{{collection}}?key=canary"}) == f"{URL}/{{collection}}"
    assert shown("http://user:canary@h:1/x?y#z") == "http://h:1/x"


def test_parameters_replace_those_of_the_url() -> None:
    assert (
        with_parameters("http://h/x?page=1&a=%20", {"page": 2, "b c": "ü&"}) == "http://h/x?a=%20&page=2&b+c=%C3%BC%26"
    )
    assert with_parameters("http://h/x", {}) == "http://h/x"
    assert fill("http://h/{collection}/{collection}", "a/b c") == "http://h/a%2Fb%20c/a%2Fb%20c"
