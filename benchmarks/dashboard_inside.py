"""`python -m benchmarks.dashboard_inside DATABASES BACKUPS`, with a new site's settings: fills it and measures in it.

Prints JSON: seconds and queries by name.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPEATS = 100
SCHEDULES = 240  # different ones, so that remembered due times are not all alike


def main(databases: int, backups: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from benchmarks.retention_inside import fill
    from benchmarks.scale_inside import fill_slots
    from databases.models import Database

    call_command("migrate", verbosity=0)
    if not Database.objects.exists():
        fill(databases, backups)
        fill_slots(databases, backups)
    _spread()
    print(json.dumps(measure()))


def _spread() -> None:
    """Due all around the day, and something that runs."""
    from django.utils import timezone

    from backups.models import Backup
    from databases.models import Database
    from jobs.models import Status

    rows = list(Database.objects.order_by("pk"))
    for number, row in enumerate(rows):
        row.schedule = f"{number % 60} {number % (SCHEDULES // 10)} * * *"
    Database.objects.bulk_update(rows, ["schedule"], batch_size=500)
    if not Backup.objects.filter(status=Status.IN_PROGRESS).exists():
        for row in rows[:3]:
            values = {"database_name": row.name, "engine": row.engine, "phase": "dump", "bytes_done": 1 << 30}
            Backup.objects.create(database=row, status=Status.IN_PROGRESS, started_at=timezone.now(), **values)


def measure() -> dict[str, float]:
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from backups.models import Usage
    from backups.services.count_usage import count_usage

    settings.ALLOWED_HOSTS = ["testserver"]
    user, _ = User.objects.get_or_create(username="bench", defaults={"is_superuser": True, "is_staff": True})
    browser = Client()
    browser.force_login(user)

    def ask(address: str) -> Any:
        answer = browser.get(address)
        if answer.status_code != 200:
            raise RuntimeError(f"{address}: {answer.status_code}")
        return answer

    Usage.objects.all().delete()
    counted = _seconds(count_usage)
    ask("/admin/")  # templates are compiled once in a process, due times read once a day
    page = [_seconds(lambda: ask("/admin/")) for _ in range(REPEATS)]
    with CaptureQueriesContext(connection) as queries:
        ask("/admin/")
    return {
        "page": min(page),
        "median": statistics.median(page),
        "queries": len(queries),
        "poll": min(_seconds(lambda: ask("/admin/running/")) for _ in range(REPEATS)),
        "list": min(_seconds(lambda: ask("/admin/databases/database/?standing=unprotected")) for _ in range(3)),
        "count": counted,
        "calibration": min(_seconds(_additions) for _ in range(REPEATS)),
    }


def _additions() -> None:
    total = 0
    for number in range(1_000_000):
        total += number


def _seconds(call: Callable[[], object]) -> float:
    """SQLite works in this process; what else the machine does is not measured."""
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "backupsite.settings"
    sys.path.insert(0, str(Path.cwd()))
    main(int(sys.argv[1]), int(sys.argv[2]))
