"""`manage.py beat`: rings at due times. One does it; others stand by and take over."""

import logging
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, NoReturn

from celery.apps.beat import Beat
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseFault

from backupsite.alive import keep_reporting
from backupsite.celery import app
from backupsite.locks import SiteLock

logger = logging.getLogger(__name__)

STANDBY_S = 2.0
WATCH_S = 5.0


class Command(BaseCommand):
    help = "Run the clock of the schedules, or stand by for the one that does."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, _exit)
        lock = SiteLock("beat")
        if not lock.try_acquire():
            logger.info("another beat runs; standing by")
            while not lock.try_acquire():
                time.sleep(STANDBY_S)
        logger.info("this beat rings")
        threading.Thread(target=_watch, args=(lock,), daemon=True).start()
        keep_reporting(role="beat")
        Beat(
            app=app,
            scheduler="django_celery_beat.schedulers:DatabaseScheduler",
            quiet=True,
            redirect_stdouts=False,
        ).run()


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _watch(lock: SiteLock) -> None:
    """Without the lock another beat rings: this one ends, and comes back standing by."""
    while True:
        time.sleep(WATCH_S)
        try:
            lock.still_held()
        except DatabaseFault:
            logger.error("the lock of beat is lost")
            os._exit(1)
