"""The schema describes the API as it is; the pages that show it work without the internet."""

import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.urls import reverse
from rest_framework.test import APIClient

from backupsite.api.router import router
from jobs.roles import Role

METHODS = ("get", "post", "patch", "delete")


@pytest.fixture(scope="module")
def schema() -> Any:
    return APIClient().get("/api/schema", headers={"accept": "application/vnd.oai.openapi+json"}).json()


def test_it_is_valid_and_complete() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_it_knows_the_canonical_addresses_only(schema: Any) -> None:
    assert {"/api/backups", "/api/backups/{id}/restore", "/api/databases/{id}/check", "/api/token"} <= set(
        schema["paths"]
    )
    assert all(path.startswith("/api/") and not path.endswith("/") for path in schema["paths"])


def test_every_error_is_a_typed_problem(schema: Any) -> None:
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method in METHODS:
                errors = [status for status in operation["responses"] if status >= "400"]
                assert "400" in errors, (path, method)
                assert all("Problem" in str(_resolve(schema, operation["responses"][status])) for status in errors)
                if "x-role" in operation:
                    assert {"401", "403"} <= set(errors), (path, method)


def _resolve(schema: Any, response: Any) -> Any:
    name = response.get("$ref", "").rpartition("/")[2]
    return schema["components"]["responses"][name] if name else response


def test_every_answer_that_is_no_error_is_described(schema: Any) -> None:
    bare = [
        (path, method)
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
        if not any(status.startswith("2") for status in operation["responses"])
    ]
    assert bare == []


def test_jobs_take_an_idempotency_key(schema: Any) -> None:
    taking = {
        path
        for path, operations in schema["paths"].items()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operations.get("post", {}).get("parameters", []))
    }
    assert taking == {
        "/api/backups",
        "/api/backups/{id}/verify",
        "/api/backups/{id}/restore",
        "/api/backups/{id}/copies",
        "/api/backups/{id}/drill",
        "/api/databases/{id}/drill",
        "/api/packages/create",
        "/api/backup",
        *(f"/api/backup/{route}" for route in ("trigger", "database", "images")),
    }


def test_no_secret_is_ever_read(schema: Any) -> None:
    for name, component in schema["components"]["schemas"].items():
        if not name.endswith("Request"):
            assert not {"password", "secret_key", "identity"} & set(component.get("properties", {})), name
    assert "key" in schema["components"]["schemas"]["NewApiKey"]["properties"]
    assert "key" not in schema["components"]["schemas"]["ApiKey"]["properties"]


@pytest.mark.parametrize("address", ["/docs", "/docs/", "/redoc", "/api/backups/doc/", "/backups/doc"])
def test_the_pages_load_nothing_from_elsewhere(address: str) -> None:
    answer = APIClient().get(address, headers={"accept": "text/html"})
    assert answer.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.content.decode())
    assert [url for url in loaded if url.startswith(("http", "//"))] == []
    assert loaded
    for url in loaded:
        assert finders.find(url.removeprefix("/static/")), url


def test_every_action_names_a_role_that_exists() -> None:
    for _, viewset, _ in router.registry:
        extras: list[Any] = viewset.get_extra_actions()
        actions = {name for extra in extras for name in extra.mapping.values()}
        actions |= {
            name for name in ("create", "list", "retrieve", "destroy", "partial_update") if hasattr(viewset, name)
        }
        named: dict[str, Role] = getattr(viewset, "roles", {})
        assert set(named) <= actions
        assert set(getattr(viewset, "starts_job", ())) <= actions
        assert all(isinstance(role, Role) for role in named.values())


def test_the_addresses_that_answers_name_exist() -> None:
    for name in ("database", "backup", "restore", "verification", "package", "destination", "key"):
        assert reverse(f"api:{name}-detail", args=["x"]).startswith("/api/")
    assert reverse("api:download", args=["x"]).startswith("/api/")
