"""Dead channels on a whole site: a black-hole SMTP server, a hanging webhook, a sweeper killed while it sends."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest
from standardwebhooks.webhooks import Webhook

from tests.live import Live, kill, live, until
from tests.notifications.receivers import Receiver, black_hole, receiver
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow]

CANARY = "c4nary-path"


@dataclass
class Told:
    site: Live
    good: Receiver
    hanging: Receiver
    secret: str


@pytest.fixture
def told(tmp_path: Path, postgres18: PostgresServer) -> Iterator[Told]:
    """A site that tells three channels of everything at once; two of them are dead."""
    source = f"dead_{token_hex(4)}"
    with ExitStack() as stack:
        postgres18.create_database(source)
        stack.callback(postgres18.drop_database, source)
        site = stack.enter_context(live(tmp_path, postgres18))
        site.add_database("shop", source)
        good, hanging = stack.enter_context(receiver()), stack.enter_context(receiver())
        hanging.hold.set()
        port = stack.enter_context(black_hole())
        mail = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "a@example.com"}
        bodies: list[dict[str, object]] = [
            {"name": "Hanging", "kind": "webhook", "url": f"{hanging.url}/{CANARY}"},
            {"name": "Black hole", "kind": "email", "recipients": ["ops@example.com"], **mail},
            {"name": "Good", "kind": "webhook", "url": f"{good.url}/{CANARY}"},
        ]
        made = [site.client.post("/api/channels", body) for body in bodies]
        site.rows("UPDATE notifications_rule SET min_severity = 'info', group_s = 0")
        yield Told(site, good, hanging, made[2]["signing_secret"])


def heard(good: Receiver, count: int) -> None:
    until(lambda: len(good.requests) == count, seconds=30, what=lambda: good.requests)


def test_dead_channels_hold_up_no_backup_and_no_other_channel(told: Told) -> None:
    for number in range(1, 4):
        backup = told.site.until(told.site.back_up("shop"))
        assert backup["status"] == "completed"
        heard(told.good, number)
        assert backup["id"].encode() in told.good.requests[-1].body
    until(lambda: told.hanging.requests)
    assert len(told.hanging.requests) == 1
    for request in told.good.requests:
        assert Webhook(told.secret).verify(request.body, request.headers)["type"] == "backup.completed"
    assert told.site.client.get("/readyz") == {"status": "ready"}
    # The sweeper dies while it sends: the next one sends it again, with the same id.
    kill([told.site.child("sweeper")])
    told.hanging.hold.clear()
    until(lambda: told.site.log.count("sweeper started with pid") == 2, what=lambda: told.site.log)
    told.site.rows("UPDATE notifications_delivery SET lease_expires_at = '2020-01-01 00:00:00'")
    until(lambda: len(told.hanging.requests) >= 3, seconds=40, what=lambda: json.dumps(told.site.rows(WAITING)))
    first, again, collected = (request for request in told.hanging.requests[:3])
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.headers["webhook-id"] != collected.headers["webhook-id"]
    assert json.loads(collected.body)["data"]["count"] == 2  # what came meanwhile is one message
    assert CANARY not in told.site.log


WAITING = "SELECT state, attempts, error FROM notifications_delivery"
