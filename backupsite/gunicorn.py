"""gunicorn's configuration; `serve` starts it as `gunicorn -c python:backupsite.gunicorn`."""

from typing import Any

from django.urls import get_resolver
from gunicorn.glogging import Logger

from backupsite import environment

wsgi_app = "backupsite.wsgi:application"
worker_class = "gthread"
threads = 8
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
