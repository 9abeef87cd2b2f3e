"""Chats, pagers and the rest: what the Apprise library knows, each addressed by a URL that holds its keys."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.errors import BackupError
from notifications.message import Message
from notifications.models import Severity
from notifications.senders.deadline import Deadline

TYPES = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.ERROR: "failure"}


def url_faults(urls: Sequence[str]) -> list[str]:
    """One for each line that the library does not know; what was typed is not repeated."""
    return [f"Line {number} is no address that Apprise knows." for number, url in enumerate(urls, 1) if not _known(url)]


def send(message: Message, *, secrets: Mapping[str, Any], deadline: Deadline) -> None:
    """The library cannot be told when to end: it works in a thread that is left behind when it takes too long."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            _send(message, secrets["urls"])
        except Exception as error:  # noqa: BLE001  # raised below, in the thread of the caller
            failed.append(error)

    thread = threading.Thread(target=work, name="apprise", daemon=True)
    thread.start()
    thread.join(deadline.left())
    if thread.is_alive():
        raise deadline.error()
    if failed:
        raise failed[0]


def _send(message: Message, urls: Sequence[str]) -> None:
    import apprise  # half a second that only this channel needs

    ways = apprise.Apprise(asset=_asset())
    for url in urls:
        ways.add(url)
    if len(ways) < len(urls):
        raise BackupError(
            f"Apprise knows {len(ways)} of the {len(urls)} addresses.",
            code="invalid_setting",
            permanent=True,
            hint="Enter them again.",
        )
    said = {
        "body": message.text,
        "title": message.subject,
        "notify_type": apprise.NotifyType(TYPES[message.severity]),
    }
    refused = [number for number, way in enumerate(ways, start=1) if not way.notify(**said)]
    if refused:
        raise BackupError(
            f"The service of address {', '.join(map(str, refused))} of {len(urls)} did not take the message.",
            code="refused",
            hint="Try the address with the apprise command on this host: it says what the service answered.",
        )


def _known(url: str) -> bool:
    import apprise  # half a second that only this channel needs

    return bool(apprise.Apprise(asset=_asset()).add(url))


def _asset() -> Any:
    """No plug-ins from disk, nothing kept on disk, and no file of the host is attached or read."""
    import apprise  # half a second that only this channel needs

    return apprise.AppriseAsset(async_mode=False, secure_logging=True, app_id="Backupsite", app_desc="Backupsite")
