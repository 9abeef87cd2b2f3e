"""A long-running process says that it is alive, from a thread of its own."""

import logging
import threading

from django.db import Error as DatabaseFault
from django.db import connection

from jobs.services.report_alive import report_alive

logger = logging.getLogger(__name__)

REPORT_S = 10.0


def keep_reporting(*, role: str) -> None:
    """Reports now and every ten seconds until the process ends. A site database that is away is tried again."""
    threading.Thread(target=_report, args=(role,), name="alive", daemon=True).start()


def _report(role: str) -> None:
    pause = threading.Event()
    while True:
        try:
            report_alive(role=role)
        except DatabaseFault as fault:
            logger.warning("the site's database did not take the sign of life: %s", type(fault).__name__)
            connection.close()
        pause.wait(REPORT_S)
