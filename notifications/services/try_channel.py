"""Send a test now and say what happened."""

import time
from dataclasses import dataclass

from django.utils import translation

from jobs.errors import BackupError
from notifications.message import compose_test
from notifications.models import Channel, Delivery, Ping, make_message_id
from notifications.senders import ping as ping_sender
from notifications.senders.deadline import Deadline
from notifications.services import outbox
from notifications.services.send import egress, send_message

TEST_S = 20.0  # somebody waits for the answer


@dataclass(frozen=True)
class TestReport:
    __test__ = False  # it is no test, whatever its name begins with

    ok: bool
    latency_ms: float
    error: str = ""
    code: str = ""
    hint: str = ""


def try_channel(*, channel: Channel) -> TestReport:
    """A failure is a report with `ok` false. A success ends the channel's failing."""
    began = time.monotonic()
    try:
        with translation.override("en"):  # as every other message, whatever language the page is read in
            message = compose_test(make_message_id(), channel.name)
        send_message(channel, message, seconds=TEST_S)
    except BackupError as error:
        return _report(began, error)
    outbox.target_ok(channel)
    return _report(began)


def try_ping(*, ping: Ping) -> TestReport:
    """Asks the address itself, as after a good backup."""
    began = time.monotonic()
    try:
        with Deadline(TEST_S) as deadline:
            ping_sender.send(ping.open_url(), Delivery.Signal.OK, deadline=deadline, egress=egress())
    except BackupError as error:
        return _report(began, error)
    outbox.target_ok(ping)
    return _report(began)


def _report(began: float, error: BackupError | None = None) -> TestReport:
    latency = round((time.monotonic() - began) * 1000, 1)
    if error is None:
        return TestReport(True, latency)
    return TestReport(False, latency, error.message, error.code, error.hint)
