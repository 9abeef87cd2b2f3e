"""The dead-man's address of a Database, as healthchecks.io takes it: <address>, <address>/start, <address>/fail."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from notifications.models import Delivery
from notifications.senders import http
from notifications.senders.deadline import Deadline


def send(url: str, signal: str, *, deadline: Deadline, egress: Mapping[str, Any]) -> None:
    http.ask("GET", address_of(url, signal), deadline=deadline, settings=egress)


def address_of(url: str, signal: str) -> str:
    if signal not in (Delivery.Signal.START, Delivery.Signal.FAIL):
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{signal}"))
