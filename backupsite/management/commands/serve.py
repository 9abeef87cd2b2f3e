"""`manage.py serve`: the whole site with one command, or some of its processes in a container."""

import http.client
import logging
import socket
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from backupsite.config.reading import ConfigRefused
from backupsite.management.prepare import prepare
from backupsite.management.supervisor import Child, Supervisor

logger = logging.getLogger(__name__)

ROLES = ("web", "worker", "beat", "sweeper")  # in the order they are stopped
STOP_S = {"web": 3.0, "worker": 9.0, "beat": 3.0, "sweeper": 3.0}


class Command(BaseCommand):
    help = "Prepare the site and supervise its processes: web, worker, beat and sweeper."
    requires_system_checks = []  # each child checks; here they would only cost time

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.BACKUPSITE_HOST)
        parser.add_argument("--port", type=int, default=settings.BACKUPSITE_PORT, help="0 picks a free one.")
        parser.add_argument("--workers", type=int, default=2, help="Web processes, of 16 threads each.")
        parser.add_argument("--only", type=_roles, default=ROLES, metavar="web,worker,beat,sweeper")

        parser.add_argument(
            "--config", type=Path, default=settings.BACKUPSITE_CONFIG, help="A config.yaml to apply before the start."
        )

    def handle(
        self, *, host: str, port: int, workers: int, only: tuple[str, ...], config: Path | None, **options: Any
    ) -> None:
        began = time.monotonic()
        listener = _listen(host, port) if "web" in only else None
        try:
            prepare(tell=self._tell, config=config)
        except ConfigRefused as refused:
            raise CommandError(
                "\n".join(f"{config or 'environment'}: {fault}" for fault in refused.faults)
            ) from refused
        supervisor = Supervisor(
            [_child(role, listener, workers) for role in only],
            ready=lambda: listener is None or _answers(listener),
            on_ready=lambda: _say_ready(listener, time.monotonic() - began),
        )
        if status := supervisor.run():
            sys.exit(status)

    def _tell(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _roles(text: str) -> tuple[str, ...]:
    given = {role.strip() for role in text.split(",")}
    if unknown := given - set(ROLES):
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    return tuple(role for role in ROLES if role in given)


def _listen(host: str, port: int) -> socket.socket:
    """The supervisor holds the socket: nobody takes the port while the web process restarts.

    Raises CommandError when the address is taken or none of this host.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandError(f"Cannot listen on {host}:{port}: {reason}. Choose another with BACKUPSITE_PORT.") from error
    return listener


def _child(role: str, listener: socket.socket | None, workers: int) -> Child:
    if role == "web":
        assert listener is not None
        number = listener.fileno()
        argv = [sys.executable, "-m", "gunicorn", "-c", "python:backupsite.gunicorn"]
        argv += ["--workers", str(workers), "--bind", f"fd://{number}"]
        return Child(role, argv, STOP_S[role], pass_fds=(number,))
    command = "sweep" if role == "sweeper" else role
    return Child(role, [sys.executable, str(settings.BASE_DIR / "manage.py"), command], STOP_S[role])


def _answers(listener: socket.socket) -> bool:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(host, port, timeout=0.5)
    try:
        connection.request("GET", "/healthz", headers={"Host": settings.ALLOWED_HOSTS[0].lstrip(".*") or "localhost"})
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def _say_ready(listener: socket.socket | None, seconds: float) -> None:
    if listener is None:
        logger.info("started in %.1f s", seconds)
        return
    host, port = listener.getsockname()[:2]
    address = settings.BACKUPSITE_PUBLIC_URL or f"http://{f'[{host}]' if ':' in host else host}:{port}"
    logger.info("ready in %.1f s at %s", seconds, address)
    logger.info("sign in there with a browser; manage.py changepassword USERNAME replaces a lost password")
