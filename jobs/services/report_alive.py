"""A web process, worker, beat or sweeper says that it is alive."""

import os
import socket
from datetime import timedelta

from django.utils import timezone

from jobs.models import Process

FORGET_AFTER = timedelta(days=1)
STARTED_AT = timezone.now()  # of this process, or of the one that loaded the code for it


def report_alive(*, role: str) -> None:
    """Writes this process's row, and forgets processes not seen for a day."""
    host, pid, now = socket.gethostname(), os.getpid(), timezone.now()
    # A container that starts again has the host and the pid of before: the row must not keep the start of before.
    facts = {"role": role, "host": host, "pid": pid, "seen_at": now, "started_at": STARTED_AT}
    Process.objects.update_or_create(name=f"{role}@{host}:{pid}", defaults=facts)
    Process.objects.filter(seen_at__lt=now - FORGET_AFTER).delete()
