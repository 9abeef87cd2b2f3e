"""`manage.py sweep`: the sweeper, a round every 20 seconds, or one with `--once`."""

import logging
import signal
import threading
import time
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseFault
from django.db import connection

from jobs.services.report_alive import report_alive
from jobs.services.sweep import sweep, sweep_quickly, sweep_slowly
from notifications.services.deliver import Postman, deliver_once

logger = logging.getLogger(__name__)

# Steps that do a slice of much work: while they find some, rounds follow at once.
SLICED = ("slots", "overdue", "drill_slots", "drill_overdue")
TICK_S = 0.2
DELIVER_S = 1.0  # between looks at the outbox


class Command(BaseCommand):
    help = "Do what nobody else has done: promote, end lost jobs, record due slots, remove what is to go."
    requires_system_checks = []

    _stopping = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="One round, then end.")

    def handle(self, *, once: bool, **options: Any) -> None:
        if once:
            done = {**sweep(), "deliver": deliver_once()}
            changed = {name: count for name, count in done.items() if count}
            self.stdout.write(", ".join(f"{name}: {count}" for name, count in changed.items()) or "nothing to do")
            return
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        threading.Thread(target=_sweep_slowly, name="slow steps", daemon=True).start()
        threading.Thread(target=_deliver, name="deliver", daemon=True).start()
        while self._goes_on():
            due = time.monotonic() + settings.BACKUPSITE_SWEEP_S
            if _round():
                continue
            while self._goes_on() and time.monotonic() < due:
                time.sleep(TICK_S)

    def _goes_on(self) -> bool:
        return not self._stopping

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True


def _round() -> bool:
    """Whether the next one follows at once.

    The sign of life is given by the thread that sweeps: a sweeper that hangs must not look alive.
    """
    try:
        report_alive(role="sweeper")
        changed = {name: count for name, count in sweep_quickly().items() if count}
        report_alive(role="sweeper")
    except DatabaseFault as fault:
        logger.warning("the site's database does not answer: %s", type(fault).__name__)
        connection.close()
        return False
    if changed:
        logger.info("swept: %s", changed)
    return any(name in changed for name in SLICED)


def _sweep_slowly() -> None:
    """Objects at a destination that does not answer are waited for here, while lost jobs and slots go on."""
    while True:
        if changed := {name: count for name, count in sweep_slowly().items() if count}:
            logger.info("swept: %s", changed)
        time.sleep(settings.BACKUPSITE_SWEEP_S)


def _deliver() -> None:
    """Messages leave from here, whatever the steps of the sweep wait for; each channel has a thread of its own."""
    postman = Postman()
    while True:
        try:
            postman.round()
        except DatabaseFault as fault:
            logger.warning("the outbox cannot be read: %s", type(fault).__name__)
            connection.close()
        except Exception:
            # A fault in one round must not end all notifications; it is logged and tried again.
            logger.exception("a round of the outbox failed")
        time.sleep(DELIVER_S)
