"""Create, change and delete a channel: everything is validated before anything is written."""

import re
from collections.abc import Callable, Mapping
from email.utils import parseaddr
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from jobs.fields import unseal
from notifications.models import Channel, Rule
from notifications.senders import apprise_urls, http, webhook
from notifications.services import outbox

SETTINGS: dict[str, tuple[str, ...]] = {
    "email": ("host", "port", "security", "username", "sender", "recipients"),
    "webhook": (),
    "apprise": (),
}
SECRETS: dict[str, tuple[str, ...]] = {"email": ("password",), "webhook": ("url", "secret"), "apprise": ("urls",)}
SECURITIES = ("starttls", "tls", "none")
DEFAULTS: dict[str, Any] = {"port": 587, "security": "starttls", "username": ""}
MOST_ADDRESSES = 50
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,255}")

Faults = dict[str, list[str]]


def save_channel(*, channel: Channel, values: Mapping[str, Any], create: bool) -> Channel:
    """Sets `values`: `name`, `enabled`, and what SETTINGS and SECRETS name for its kind. Raises ValidationError.

    A new channel has one rule: whatever is a warning or worse. A new webhook without a secret is given one.
    """
    secrets = dict(unseal(channel.secrets))
    for name in ("name", "enabled"):
        setattr(channel, name, values.get(name, getattr(channel, name)))
    settings = {**DEFAULTS, **channel.settings} if channel.kind == Channel.Kind.EMAIL else dict(channel.settings)
    settings |= {name: values[name] for name in SETTINGS[channel.kind] if name in values}
    secrets |= {name: values[name] for name in SECRETS[channel.kind] if name in values}
    if channel.kind == Channel.Kind.WEBHOOK and not secrets.get("secret"):
        secrets["secret"] = webhook.make_secret()
    if faults := _faults(channel, settings, secrets) | _strangers(channel, values):
        raise ValidationError(faults)
    channel.settings = {**settings, "place": _place(channel.kind, settings, secrets)}
    _seal(channel, secrets)
    with transaction.atomic():
        channel.save(force_insert=create)
        if create:
            Rule.objects.create(channel=channel)
        if not channel.enabled:
            outbox.drop(channel.deliveries.all(), "The channel was switched off.")
    return channel


def delete_channel(*, channel: Channel) -> None:
    """With its rules and what waits to be sent."""
    channel.delete()


def rotate_secret(*, channel: Channel) -> str:
    """The new secret, shown once. Until `drop_old_secret`, messages are signed with both."""
    secrets = dict(unseal(channel.secrets))
    _require_webhook(channel)
    secrets["old_secret"], secrets["secret"] = secrets["secret"], webhook.make_secret()
    _seal(channel, secrets)
    channel.save(update_fields=["secrets", "secret_names", "updated_at"])
    return str(secrets["secret"])


def drop_old_secret(*, channel: Channel) -> None:
    _require_webhook(channel)
    secrets = dict(unseal(channel.secrets))
    secrets.pop("old_secret", None)
    _seal(channel, secrets)
    channel.save(update_fields=["secrets", "secret_names", "updated_at"])


def _require_webhook(channel: Channel) -> None:
    if channel.kind != Channel.Kind.WEBHOOK:
        raise ValidationError({"kind": ["Only messages of a webhook are signed."]})


def _seal(channel: Channel, secrets: Mapping[str, Any]) -> None:
    kept = {name: value for name, value in secrets.items() if value}
    channel.secrets, channel.secret_names = kept, sorted(kept)


def _strangers(channel: Channel, values: Mapping[str, Any]) -> Faults:
    known = {"name", "enabled", "kind", *SETTINGS[channel.kind], *SECRETS[channel.kind]}
    return {name: [f"A channel of the kind {channel.kind} has no such field."] for name in values if name not in known}


def _faults(channel: Channel, settings: Mapping[str, Any], secrets: Mapping[str, Any]) -> Faults:
    faults: Faults = {}
    try:
        channel.clean_fields(exclude=["settings", "secrets"])
    except ValidationError as error:
        faults |= error.message_dict
    by_kind: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Faults]] = {
        "email": _email_faults,
        "webhook": _webhook_faults,
        "apprise": _apprise_faults,
    }
    return faults | by_kind[channel.kind](settings, secrets)


def _email_faults(settings: Mapping[str, Any], secrets: Mapping[str, Any]) -> Faults:
    faults: Faults = {}
    if not _HOST.fullmatch(str(settings.get("host", ""))):
        faults["host"] = ["Give the name or address of an SMTP server."]
    if not 1 <= int(settings["port"]) <= 65535:
        faults["port"] = ["A port is a number from 1 to 65535."]
    if settings["security"] not in SECURITIES:
        faults["security"] = [f"One of {', '.join(SECURITIES)}."]
    if not _is_mail_address(str(settings.get("sender", ""))):
        faults["sender"] = ["Give an e-mail address."]
    recipients = settings.get("recipients") or []
    if not 1 <= len(recipients) <= MOST_ADDRESSES or not all(map(_is_mail_address, recipients)):
        faults["recipients"] = [f"Give 1 to {MOST_ADDRESSES} e-mail addresses."]
    if secrets.get("password") and not settings["username"]:
        faults["username"] = ["A password needs a user name."]
    return faults


def _is_mail_address(text: str) -> bool:
    """`a@example.com`, or with a name: `Backups <a@example.com>`."""
    if "\n" in text or "\r" in text:
        return False
    try:
        validate_email(parseaddr(text)[1])
    except ValidationError:
        return False
    return True


def _webhook_faults(settings: Mapping[str, Any], secrets: Mapping[str, Any]) -> Faults:
    faults = {"url": http.url_fault(str(secrets.get("url", ""))), "secret": webhook.secret_fault(secrets["secret"])}
    return {name: [fault] for name, fault in faults.items() if fault}


def _apprise_faults(settings: Mapping[str, Any], secrets: Mapping[str, Any]) -> Faults:
    urls = secrets.get("urls") or []
    if not 1 <= len(urls) <= MOST_ADDRESSES:
        return {"urls": [f"Give 1 to {MOST_ADDRESSES} addresses."]}
    faults = apprise_urls.url_faults(urls)
    return {"urls": faults} if faults else {}


def _place(kind: str, settings: Mapping[str, Any], secrets: Mapping[str, Any]) -> str:
    """Where messages go, without what is secret in it."""
    if kind == Channel.Kind.EMAIL:
        return ", ".join(settings["recipients"])
    if kind == Channel.Kind.WEBHOOK:
        return http.place_of(secrets["url"])
    return ", ".join(sorted({url.partition("://")[0] for url in secrets["urls"]}))
