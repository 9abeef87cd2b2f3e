"""`manage.py worker`: runs jobs. As many processes as jobs may run at once, warm before the first doorbell rings."""

import os
import warnings
from typing import Any

from celery import signals
from celery.exceptions import SecurityWarning
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from backupsite.alive import keep_reporting
from backupsite.celery import app
from jobs.selectors import max_parallel_jobs


class Command(BaseCommand):
    help = "Run a worker."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--concurrency", type=int, help="Default: as many as jobs may run at once.")

    def handle(self, *, concurrency: int | None, **options: Any) -> None:
        # After the pool processes were forked, so that none of them is born beside a running thread.
        signals.worker_ready.connect(_report, weak=False)
        warnings.filterwarnings("ignore", category=SecurityWarning)  # `doctor` says it when the site runs as root
        app.worker_main(
            [
                *("--quiet", "worker", "--pool", "prefork", "--concurrency", str(concurrency or max_parallel_jobs())),
                *("--queues", ",".join(settings.BACKUPSITE_WORKER_QUEUES)),
                *("--hostname", f"worker-{os.getpid()}@%h", "--loglevel", "INFO"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ]
        )


def _report(**kwargs: Any) -> None:
    keep_reporting(role="worker")
