"""gunicorn's configuration; `serve` starts it as `gunicorn -c python:backupsite.gunicorn`."""

import os
import shutil
from pathlib import Path
from typing import Any

from django.urls import get_resolver
from gunicorn.glogging import Logger

from backupsite import environment

# Where the web processes count their requests, for /metrics; set before anything imports the client library.
_counts = Path(environment.value("BACKUPSITE_DATA_DIR", "data")).absolute() / "metrics"
shutil.rmtree(_counts, ignore_errors=True)
_counts.mkdir(mode=0o700, parents=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_counts)

wsgi_app = "backupsite.wsgi:application"
worker_class = "gthread"
threads = 16  # a download holds one for as long as its reader takes
limit_request_line = 8190  # links and filters may be long
preload_app = True  # the workers share the code's memory, and a fault of the settings is told once
timeout = 60
graceful_timeout = 2
keepalive = 5
control_socket_disable = True
# gunicorn itself would believe X-Forwarded-Proto from loopback.
forwarded_allow_ips = "*" if environment.number("BACKUPSITE_TRUSTED_PROXIES", 0) else ""


class SiteLogger(Logger):
    """Leaves the lines to the site's own logging. Requests are not logged: a link in one may be a credential."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


logger_class = SiteLogger


def when_ready(server: Any) -> None:
    """Before the workers are forked: they share the pages' code instead of loading it at their first request each."""
    get_resolver().url_patterns  # noqa: B018
    import jobs.services.report_alive  # noqa: F401  says when the code, and with it the keys, was loaded


def post_worker_init(worker: Any) -> None:
    """`rotate_keys` must know of a web process that still has the keys of before."""
    from backupsite.alive import keep_reporting  # models: loaded by now, and not when this module is

    keep_reporting(role="web")


def child_exit(server: Any, worker: Any) -> None:
    from prometheus_client.multiprocess import mark_process_dead  # reads the folder when it is imported

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
