"""The OpenAPI schema: what drf-spectacular cannot know by itself."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema as Base
from drf_spectacular.utils import OpenApiParameter

from backupsite.api.idempotency import HEADER
from backupsite.api.permissions import needed_role
from backupsite.api.problems import MEDIA_TYPE

TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "description": "An error, as RFC 9457 describes it. `code` is for programs and stays the same between versions.",
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "code": TEXT,
        "hint": {**TEXT, "description": "What to do about it."},
        "state": {**TEXT, "description": "With the code `wrong_state`: the state that was in the way."},
        "errors": {
            "type": "array",
            "description": "With the code `invalid`: every fault of the request at once.",
            "items": {
                "type": "object",
                "properties": {"field": TEXT, "message": TEXT, "code": TEXT},
                "required": ["field", "message", "code"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "code"],
}
OF_END_USERS: list[dict[str, list[str]]] = [{"nip98": []}]
RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
RATE_LIMIT = {
    "RateLimit-Limit": {"description": "Requests in a window of time.", "schema": {"type": "integer"}},
    "RateLimit-Remaining": {"description": "Of them, how many are left.", "schema": {"type": "integer"}},
    "RateLimit-Reset": {"description": "Seconds until it begins again.", "schema": {"type": "integer"}},
}
ERRORS: dict[str, tuple[str, dict[str, Any]]] = {
    "400": ("Malformed or invalid.", {}),
    "401": ("No credentials, or wrong ones.", {"WWW-Authenticate": {"schema": TEXT}}),
    "403": ("Your role does not allow this.", {}),
    "404": ("There is no such thing.", {}),
    "409": ("The state of things does not allow this now.", {}),
    "410": ("It is over: it expired, or was revoked.", {}),
    "413": ("The body is too large.", {}),
    "415": ("The body is not JSON.", {}),
    "416": ("The range begins behind the end.", {"Content-Range": {"schema": TEXT}}),
    "422": ("Valid, but impossible.", {}),
    "429": ("Too many attempts.", RETRY_AFTER),
    "503": ("Something that is needed does not answer just now.", RETRY_AFTER),
}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "backupsite.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`Api-Key <key>`"}


class NostrScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "exports.api.authentication.NostrAuthentication"
    name = "nip98"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        description = "NIP-98: `Nostr <base64 of an event of kind 27235 that signs this very request>`"
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": description}


class AutoSchema(Base):
    """Adds to each operation the role it asks for, and the `Idempotency-Key` where it starts a job."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation and operation.get("security", [{}]) not in ([{}], OF_END_USERS):
            operation["x-role"] = needed_role(self.view, self.method).name.lower()
        return operation

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        if getattr(self.view, "action", None) in getattr(self.view, "starts_job", ()):
            parameters.append(
                OpenApiParameter(
                    HEADER,
                    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
                    OpenApiParameter.HEADER,
                    description="The same key and body within 24 hours answer the same job again.",
                )
            )
        return parameters


def only_canonical(endpoints: list[Any], **kwargs: Any) -> list[Any]:
    """The router is mounted twice; the schema knows the one under /api/, without trailing slashes."""
    return [
        (path.rstrip("/"), regex, method, view) for path, regex, method, view in endpoints if path.startswith("/api/")
    ]


def describe_errors(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Every operation answers errors as problems; which ones follows from what it is."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    components["responses"] = {f"Error{status}": _response(*facts) for status, facts in ERRORS.items()}
    for path, operations in result.get("paths", {}).items():
        for method, operation in operations.items():
            if operation.get("security") == OF_END_USERS:
                _add_quota(operation)
            for status in _statuses(path, method, operation):
                operation["responses"].setdefault(status, {"$ref": f"#/components/responses/Error{status}"})
    return result


def _add_quota(operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        if status < "400":
            answer["headers"] = {**answer.get("headers", {}), **RATE_LIMIT}


def _response(description: str, headers: dict[str, Any]) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": description, "content": content, **({"headers": headers} if headers else {})}


def _statuses(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    found = {"400", "503"}
    if "x-role" in operation:
        found |= {"401", "403"}
    if "{" in path or any(parameter["name"] == "page" for parameter in operation.get("parameters", ())):
        found.add("404")
    if method != "get":
        found |= {"409", "413", "415", "422"}
    if operation.get("security") == OF_END_USERS:
        found |= {"401", "403", "429"}
    if "/token" in path or path.endswith("/password"):
        found |= {"401", "429"}
    if "/downloads/exports" in path:
        found.add("410")
    reads = any(parameter["name"] == "include" for parameter in operation.get("parameters", ()))
    if reads or path.endswith(("/download", "/last", "/inventory")) or "/downloads/" in path:
        found |= {"409", "422"}
    if "/download" in path:
        found.add("416")
    return sorted(found)
