"""Addresses in settings: written as browsers write them, or refused."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from backupsite import environment

NAME = "BACKUPSITE_EXPORT_ORIGINS"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("https://b.example.com", ["https://b.example.com"]),
        (" HTTPS://B.Example.com:443/ , http://lan:80", ["https://b.example.com", "http://lan"]),
        ("http://127.0.0.1:8000,http://127.0.0.1:8000/", ["http://127.0.0.1:8000"]),
        ("https://[2001:DB8::1]:8443", ["https://[2001:db8::1]:8443"]),
        ("https://example.com/backups/", ["https://example.com/backups"]),
    ],
)
def test_they_are_written_one_way(monkeypatch: pytest.MonkeyPatch, text: str, found: list[str]) -> None:
    monkeypatch.setenv(NAME, text)
    assert environment.origins(NAME) == found


@pytest.mark.parametrize(
    "text",
    [
        "b.example.com", "*", "ftp://b.example.com", "https://", "https://ada@b.example.com", "https://b.example.com:x",
        "https://b.example.com?x=1", "https://b.example.com#x", "https://[::1", "null",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        environment.origins(NAME)
