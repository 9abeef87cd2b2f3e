"""The Celery application. Messages are doorbells: they carry a job's kind and id, never its state."""

import logging.config
import os
import signal
import threading
from typing import Any

from billiard import active_children
from billiard.util import get_logger
from celery import Celery, signals

from backupsite import doorbell

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backupsite.settings")

_worker: list[int] = []  # its pid
JOB_GRACE_S = 3.0  # what a running job gets to end by itself when its worker is stopped

doorbell.register()
app = Celery("backupsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def _use_django_logging(**kwargs: Any) -> None:
    """A receiver here keeps Celery from setting up logging of its own."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
    get_logger().propagate = True  # or what the pool says of a killed process goes past our format to stderr


@signals.worker_init.connect
def _remember_worker(**kwargs: Any) -> None:
    """Pool processes, forked later, know by it whose children they are."""
    _worker.append(os.getpid())


@signals.worker_process_init.connect
def _prepare_pool_process(**kwargs: Any) -> None:
    """A pool process that is told to stop ends its job in order (that it dies with its worker, whatever happens to
    that, Celery has asked the kernel for already; a worker that died before that was asked is found here).

    The job's thread may sit in a library that waits for a server, where no Python signal handler runs: the signal goes
    through a pipe to a thread that ends the job's lease.
    """
    from jobs.lease import when_stuck  # models: loaded by now, and not when this module is

    if os.getppid() not in _worker:
        os._exit(1)
    when_stuck(lambda: os.kill(os.getpid(), signal.SIGKILL))  # its slot goes to a fresh one, its children die with it
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    threading.Thread(target=_stop_jobs_when_told, args=(reader,), name="stop", daemon=True).start()
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)


def _stop_jobs_when_told(reader: int) -> None:
    from jobs.lease import stop_all

    while number := os.read(reader, 1):
        if number[0] == signal.SIGTERM:
            stop_all()


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
