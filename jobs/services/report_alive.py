"""A worker, beat or sweeper says that it is alive."""

import os
import socket
from datetime import timedelta

from django.utils import timezone

from jobs.models import Process

FORGET_AFTER = timedelta(days=1)


def report_alive(*, role: str) -> None:
    """Writes this process's row, and forgets processes not seen for a day."""
    host, pid, now = socket.gethostname(), os.getpid(), timezone.now()
    Process.objects.update_or_create(
        name=f"{role}@{host}:{pid}", defaults={"role": role, "host": host, "pid": pid, "seen_at": now}
    )
    Process.objects.filter(seen_at__lt=now - FORGET_AFTER).delete()
