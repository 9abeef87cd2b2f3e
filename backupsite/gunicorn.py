"""gunicorn's configuration; `serve` starts it as `gunicorn -c python:backupsite.gunicorn`."""

import os
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.urls import get_resolver
from gunicorn.glogging import Logger

from backupsite import environment


def _counts() -> Path:
    """An empty folder for what the web processes count. In memory: they map its files, a full disk would kill them."""
    data = Path(environment.value("BACKUPSITE_DATA_DIR", "data")).absolute()
    memory = Path("/dev/shm")  # noqa: S108  # the folder in it is made here, 0700, or somebody else's and not used
    root = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    folder = root / f"backupsite-{os.getuid()}-{sha256(bytes(data)).hexdigest()[:16]}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:  # somebody else's
        return Path(tempfile.mkdtemp(prefix="backupsite-", dir=root))
    return folder


os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_counts())  # before anything imports the client library

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


def on_exit(server: Any) -> None:
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
