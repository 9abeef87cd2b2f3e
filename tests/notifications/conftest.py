"""Channels to real receivers, and an outbox that is emptied when a test says so."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobs.fields import unseal
from notifications.models import Channel, Delivery, Event, Rule
from notifications.services.deliver import Postman
from notifications.services.record import record_event
from notifications.services.save_channel import save_channel
from tests.live import busy
from tests.notifications.receivers import MailServer, Receiver, mail_server, receiver


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as made:
        yield made


class Post:
    """Makes channels and events, and plays the sweeper."""

    def webhook(self, receiver_or_url: Receiver | str, *, group_s: int = 0, **values: Any) -> Channel:
        url = receiver_or_url if isinstance(receiver_or_url, str) else f"{receiver_or_url.url}/hook"
        return self._made(Channel(kind="webhook"), {"name": "Hook", "url": url, **values}, group_s)

    def email(self, port: int, *, group_s: int = 0, **values: Any) -> Channel:
        given = {
            "name": "Mail",
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "sender": "backups@example.com",
            "recipients": ["ops@example.com"],
        }
        return self._made(Channel(kind="email"), {**given, **values}, group_s)

    def apprise(self, *urls: str, **values: Any) -> Channel:
        return self._made(Channel(kind="apprise"), {"name": "Chat", "urls": list(urls), **values}, 0)

    def _made(self, channel: Channel, values: dict[str, Any], group_s: int) -> Channel:
        saved = save_channel(channel=channel, values=values, create=True)
        saved.rules.update(group_s=group_s)
        return saved

    def secret(self, channel: Channel) -> str:
        return str(unseal(Channel.objects.get(pk=channel.pk).secrets)["secret"])

    def event(self, kind: str = "backup.failed", **values: Any) -> Event:
        given = {"subject_id": "bkp_aaaaaaaaaaaa", "database_id": "shop", "message": "The backup of Shop failed."}
        return record_event(kind=kind, **{**given, **values})

    def round(self, postman: Postman | None = None, *, seconds: float = 60) -> None:
        """One round, and what it sends has been sent."""
        postman = postman or Postman()
        postman.round()
        postman.wait(seconds)

    def again(self) -> None:
        """The pause before the next attempts is over, and so is the collecting."""
        Delivery.objects.filter(state="waiting").update(next_attempt_at="2020-01-01T00:00:00Z")

    def only_rule(self, channel: Channel, **values: Any) -> Rule:
        rule = channel.rules.get()
        for name, value in values.items():
            setattr(rule, name, value)
        rule.save()
        return rule


@pytest.fixture
def post(transactional_db: None) -> Post:
    return Post()


def until(found: Callable[[], Any], *, seconds: float = 60.0) -> Any:
    began = time.monotonic()
    while not (answer := found()):
        assert time.monotonic() - began < seconds * busy(), f"not within {seconds} s"
        time.sleep(0.02)
    return answer
