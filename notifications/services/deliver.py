"""Empty the outbox: a thread for each target that has something to send, so that a dead one holds up nobody.

It runs in the sweeper's process, beside the sweep: no worker and no step of the sweep ever waits for a channel.
"""

import logging
import threading
import time
from dataclasses import dataclass, field

from django.db import Error as DatabaseFault
from django.db import connections

from jobs.errors import BackupError
from notifications.models import Delivery, Target
from notifications.services import outbox
from notifications.services.route import route_events
from notifications.services.send import send_delivery

logger = logging.getLogger(__name__)

AT_ONCE = 16  # targets; those that fail come last
GIVE_UP_S = 60.0  # on an attempt that no limit of its own has ended; below outbox.LEASE_S
TURN_S = 60.0  # of one target

STUCK = BackupError(
    f"The attempt did not end within {GIVE_UP_S:.0f} seconds.",
    code="timeout",
    hint="Does something answer there, and does this host resolve its name?",
)


@dataclass
class Errand:
    """A thread at work for one target, and the message it holds."""

    target: Target
    thread: threading.Thread = field(init=False)
    held: Delivery | None = None
    since: float = 0.0


class Postman:
    """`round()` never waits for a target. A thread that hangs keeps its target, and no other, from being served."""

    def __init__(self) -> None:
        self._errands: dict[tuple[str, str], Errand] = {}

    def round(self) -> int:
        """Routes new events, gives up on what hangs, and starts a thread for each target with something to send."""
        routed = route_events()
        self._forget_ended()
        for errand in self._errands.values():
            self._give_up_on_stuck(errand)
        for target in outbox.targets_due(self._errands)[: max(0, AT_ONCE - len(self._errands))]:
            self._start(target)
        return routed

    def wait(self, seconds: float) -> None:
        """Until every thread has ended, or that long."""
        ends = time.monotonic() + seconds
        for errand in list(self._errands.values()):
            errand.thread.join(max(0.0, ends - time.monotonic()))

    def _start(self, target: Target) -> None:
        errand = Errand(target)
        errand.thread = threading.Thread(target=_serve, args=(errand,), name=f"deliver-{target.pk}", daemon=True)
        self._errands[target.event_family, str(target.pk)] = errand
        errand.thread.start()

    def _forget_ended(self) -> None:
        self._errands = {key: errand for key, errand in self._errands.items() if errand.thread.is_alive()}

    def _give_up_on_stuck(self, errand: Errand) -> None:
        held = errand.held
        if held is not None and time.monotonic() - errand.since > GIVE_UP_S:
            errand.held = None
            outbox.failed(held, STUCK)


def deliver_once() -> int:
    """One round that waits for its threads, for who has no sweeper running; returns how many messages have ended."""
    before = _ended()
    postman = Postman()
    postman.round()
    postman.wait(GIVE_UP_S)
    return _ended() - before


def _ended() -> int:
    return Delivery.objects.exclude(state=Delivery.State.WAITING).count()


def _serve(errand: Errand) -> None:
    """Sends what the target has waiting, until one fails or its turn is over."""
    ends = time.monotonic() + TURN_S
    try:
        while time.monotonic() < ends and (delivery := outbox.claim(errand.target)) is not None:
            errand.since, errand.held = time.monotonic(), delivery
            if not _attempt(delivery):
                return
            errand.held = None
    except DatabaseFault:
        # The lease of what was being sent runs out, and it is sent again with the same id.
        logger.warning("the site's database did not take what came of a message to %s", errand.target.pk)
    finally:
        errand.held = None
        connections.close_all()


def _attempt(delivery: Delivery) -> bool:
    """Whether the target may get its next message now."""
    try:
        send_delivery(delivery)
    except BackupError as error:
        logger.warning("%s to %s: %s", delivery.message_id, delivery.channel_id or delivery.ping_id, error)
        outbox.failed(delivery, error)
        return False
    except DatabaseFault:
        raise
    except Exception as error:
        # A fault of one message or library must not end the delivery of all others; it is tried again and told.
        logger.exception("%s cannot be sent", delivery.message_id)
        outbox.failed(delivery, BackupError(f"It cannot be sent ({type(error).__name__}).", code="internal"))
        return False
    return outbox.sent(delivery)
