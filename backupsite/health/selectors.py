"""Is the site ready? What is wrong is said without secrets, addresses or names: anybody may ask."""

from collections.abc import Callable
from datetime import timedelta

from django.db import Error as DatabaseFault
from django.db import connection
from django.utils import timezone

from backups.models import Destination
from backupsite.health.destination import fault_code
from jobs.models import Status
from jobs.registry import JobKind, all_kinds
from jobs.selectors import alive, max_parallel_jobs
from jobs.services.claim import running

QUEUE_AGE = timedelta(minutes=2)
SEEN_WITHIN = timedelta(seconds=60)
LOOKED_AT = 20  # oldest pending jobs of each kind


def faults() -> dict[str, str]:
    """What keeps the site from doing its work, by check; empty when it is ready."""
    if (fault := _database()) is not None:
        return {"database": fault}
    checks: dict[str, Callable[[], str | None]] = {
        "queue": _queue,
        "sweeper": lambda: _role("sweeper"),
        "worker": lambda: _role("worker"),
        "destination": _destination,
    }
    return {name: fault for name, check in checks.items() if (fault := check()) is not None}


def oldest_runnable() -> timedelta | None:
    """How long the oldest pending job has waited although it could run; None when there is none."""
    if running() >= max_parallel_jobs():
        return None
    ages = [age for kind in all_kinds() if (age := _oldest_of(kind)) is not None]
    return max(ages, default=None)


def _oldest_of(kind: JobKind) -> timedelta | None:
    waiting = kind.model._default_manager.filter(status=Status.PENDING).order_by("created_at", "pk")
    for job in waiting[:LOOKED_AT]:
        if kind.may_start(job):
            return timezone.now() - max(filter(None, [job.created_at, job.scheduled_at]))
    return None


def _database() -> str | None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseFault:
        connection.close()
        return "The site's database does not answer."
    return None


def _queue() -> str | None:
    age = oldest_runnable()
    if age is None or age <= QUEUE_AGE:
        return None
    return f"A job has waited {age.total_seconds():.0f} seconds although it could run."


def _role(role: str) -> str | None:
    if alive(role, within=SEEN_WITHIN):
        return None
    return f"No {role} has been seen for {SEEN_WITHIN.total_seconds():.0f} seconds."


def _destination() -> str | None:
    """Asked at most once a minute by each web process, however often somebody polls."""
    destination = Destination.objects.filter(is_default=True).first()
    if destination is None:
        return "There is no default destination."
    found = fault_code(destination)
    return f"The default destination cannot be used ({found})." if found else None
