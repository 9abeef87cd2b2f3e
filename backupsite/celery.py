"""The Celery application. Messages are doorbells: they carry a job's kind and id, never its state."""

import logging.config
import os
import signal
import sys
import threading
import types
from typing import Any, NoReturn

from billiard import active_children
from celery import Celery, signals

from backupsite import doorbell

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backupsite.settings")

JOB_GRACE_S = 4.0  # what a running job gets to end by itself when its worker is stopped

doorbell.register()
app = Celery("backupsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def _use_django_logging(**kwargs: Any) -> None:
    """A receiver here keeps Celery from setting up logging of its own."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)


@signals.worker_process_init.connect
def _prepare_pool_process(**kwargs: Any) -> None:
    """A pool process that is told to stop writes down what became of its job (that it dies with its worker, whatever
    happens to that, Celery has asked the kernel for already)."""
    signal.signal(signal.SIGTERM, _stop_job)


def _stop_job(number: int, frame: types.FrameType | None) -> NoReturn:
    sys.exit(128 + number)


@signals.worker_shutting_down.connect
def _bound_shutdown(**kwargs: Any) -> None:
    """Celery waits for running tasks without end; after the grace they are told to stop, and their rows say so."""
    timer = threading.Timer(JOB_GRACE_S, _stop_pool)
    timer.daemon = True
    timer.start()


def _stop_pool() -> None:
    for process in active_children():
        if process.pid is not None:
            try:
                os.kill(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
