"""A small client of the REST API, on the standard library: token first, JSON in and out, problems as errors."""

import json
import urllib.error
import urllib.request
from typing import Any


class ApiError(RuntimeError):
    """The site refused or failed; the message is its problem+json in words."""


class Client:
    """Logs in at once. Raises ApiError."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url = url
        self._token = ""
        tokens = self.call("POST", "/api/token", {"username": username, "password": password})
        self._token = tokens["access"]

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self.call("POST", path, body or {})

    def delete(self, path: str) -> None:
        self.call("DELETE", path)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The parsed answer; None when it has no body."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(f"{method} {path}: {error.code} {_problem(error.read())}") from error
        except OSError as error:
            raise ApiError(f"{method} {path}: the site does not answer ({error})") from error
        return json.loads(text) if text else None


def _problem(body: bytes) -> str:
    try:
        problem = json.loads(body)
    except ValueError:
        return body[:500].decode(errors="replace")
    fields = "; ".join(f"{fault.get('field')}: {fault.get('message')}" for fault in problem.get("errors") or [])
    return " ".join(part for part in (problem.get("detail") or problem.get("title") or "", fields) if part)
