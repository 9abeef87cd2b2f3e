"""Send one message to where it is meant to go, within a limit of time."""

from typing import Any

from django.conf import settings

from jobs.fields import unseal
from notifications.message import Message, compose
from notifications.models import Channel, Delivery
from notifications.senders import apprise_urls, email, ping, webhook
from notifications.senders.deadline import Deadline

SEND_S = 30.0  # one attempt on the network


def send_delivery(delivery: Delivery) -> None:
    """Raises BackupError."""
    if delivery.ping is not None:
        with Deadline(SEND_S) as deadline:
            ping.send(delivery.ping.open_url(), delivery.signal, deadline=deadline, egress=egress())
        return
    assert delivery.channel is not None
    message = compose(delivery.message_id, list(delivery.events.all()))
    send_message(delivery.channel, message, seconds=SEND_S)


def send_message(channel: Channel, message: Message, *, seconds: float) -> None:
    """Raises BackupError."""
    secrets = unseal(channel.secrets)
    with Deadline(seconds) as deadline:
        if channel.kind == Channel.Kind.EMAIL:
            email.send(message, settings=channel.settings, secrets=secrets, deadline=deadline)
        elif channel.kind == Channel.Kind.WEBHOOK:
            webhook.send(message, secrets=secrets, deadline=deadline, egress=egress())
        else:
            apprise_urls.send(message, secrets=secrets, deadline=deadline)


def egress() -> dict[str, Any]:
    """Where requests may go: the networks that the site allows, for services and webhooks alike."""
    return dict(settings.BACKUPSITE_ENGINE_SETTINGS)
