"""Give a Database a ping address, change it, take it away; and queue its signals."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from notifications.models import Delivery, Ping
from notifications.registry import databases
from notifications.senders.http import place_of, url_fault
from notifications.services import outbox


def save_ping(
    *, database_id: str, url: str | None = None, enabled: bool | None = None, start_and_fail: bool | None = None
) -> Ping:
    """What is None stays as it is; a new one needs a url. Raises ValidationError by field."""
    row = Ping.objects.filter(database_id=database_id).first() or Ping(database_id=database_id)
    fault = url_fault(url or "") if url is not None or row._state.adding else ""
    if fault:
        raise ValidationError({"url": [fault]})
    if row._state.adding and database_id not in dict(databases()):
        raise ValidationError({"database_id": [f"No Database has the id {database_id!r}."]})
    given: dict[str, Any] = {"enabled": enabled, "start_and_fail": start_and_fail}
    for name, value in given.items():
        if value is not None:
            setattr(row, name, value)
    if url is not None:
        row.url, row.place = url, place_of(url)[:300]
    with transaction.atomic():
        row.save()
        if not row.enabled:
            outbox.drop(row.deliveries.all(), "The ping was switched off.")
    return row


def delete_ping(*, ping: Ping) -> None:
    ping.delete()


def signal(*, database_id: str, signal: str) -> None:
    """Queues a signal where the Database has a ping address, in the caller's transaction.

    A signal that still waits is of the past then, and is dropped.
    """
    row = Ping.objects.filter(database_id=database_id, enabled=True).first()
    if row is None or (signal != Delivery.Signal.OK and not row.start_and_fail):
        return
    outbox.drop(row.deliveries.filter(lease_token=None), "A later signal took its place.")
    Delivery.objects.create(ping=row, signal=signal)
