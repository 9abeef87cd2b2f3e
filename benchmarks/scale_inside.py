"""`python -m benchmarks.scale_inside DATABASES BACKUPS`, with a new site's settings: fills it and measures in it.

Prints JSON: seconds, queries and bytes by name.
"""

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil

BATCH = 5000
TICKS, RELOADS = 200, 20


def main(databases: int, backups: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from benchmarks.retention_inside import fill

    call_command("migrate", verbosity=0)
    fill(databases, backups)
    fill_slots(databases, backups)
    print(json.dumps(sweeps() | beat()))


def fill_slots(databases: int, backups: int) -> None:
    """One a day for each backup; the newest was two hours and a half ago, half an hour before the newest backup."""
    from django.utils import timezone

    from backups.models import Backup, Slot
    from databases.models import Database

    now = timezone.now()
    newest = now - timedelta(hours=2, minutes=30)
    days = [newest - timedelta(days=number) for number in range(backups)]
    ids = list(Database.objects.values_list("pk", flat=True))
    for at in range(0, databases, max(BATCH // backups, 1)):
        some = ids[at : at + max(BATCH // backups, 1)]
        Slot.objects.bulk_create(Slot(database_id=pk, due_at=due, outcome="requested") for pk in some for due in days)
    good = now - timedelta(hours=2)
    Backup.objects.filter(finished_at__gt=now - timedelta(hours=12)).update(started_at=good, finished_at=good)
    Database.objects.update(schedule=f"{newest:%M %H} * * *", scheduled_since=now - timedelta(days=backups + 1))


def sweeps() -> dict[str, float]:
    """A quiet round, one in which every Database is due, and one in which every Database is overdue."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from backups.models import Backup, Overdue, Slot
    from databases.models import Database
    from jobs.models import Status
    from jobs.services.sweep import sweep_quickly

    sweep_quickly()
    with CaptureQueriesContext(connection) as queries:
        figures = {"quiet": _seconds()}
    figures["queries"] = len(queries)
    now = timezone.now()
    Database.objects.update(schedule=f"{now:%M %H} * * *")
    began, rounds = time.monotonic(), []
    while Slot.objects.filter(due_at__gt=now - timedelta(hours=1)).count() < Database.objects.count():
        rounds.append(_seconds())
    figures |= {"due": max(rounds), "all_due": time.monotonic() - began, "waiting": _seconds()}
    Backup.objects.filter(status=Status.PENDING).delete()
    Backup.objects.filter(finished_at__gt=now - timedelta(hours=12)).update(status=Status.FAILED)
    began, rounds = time.monotonic(), []
    while Overdue.objects.count() < Database.objects.count():
        rounds.append(_seconds())
    return figures | {"overdue": max(rounds), "all_overdue": time.monotonic() - began}


def beat() -> dict[str, float]:
    """Beat's scheduler over a row for each Database, ticking; every tenth time it reads all rows again."""
    from celery import current_app
    from django_celery_beat.models import PeriodicTasks
    from django_celery_beat.schedulers import DatabaseScheduler

    from databases.services.beat import keep_in_step

    began = time.monotonic()
    keep_in_step()
    figures = {"rows": time.monotonic() - began}
    scheduler = DatabaseScheduler(app=current_app)
    sizes = []
    for number in range(TICKS):
        if number % (TICKS // RELOADS) == 0:
            PeriodicTasks.update_changed()
        scheduler.tick()
        sizes.append(psutil.Process().memory_info().rss)
    warm = TICKS // RELOADS  # the first reading makes the table that the later ones replace
    return figures | {"beat_entries": len(scheduler.schedule), "beat_growth": max(sizes) - sizes[warm]}


def _seconds() -> float:
    from jobs.services.sweep import sweep_quickly

    started = time.monotonic()
    sweep_quickly()
    return time.monotonic() - started


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "backupsite.settings"
    sys.path.insert(0, str(Path.cwd()))
    main(int(sys.argv[1]), int(sys.argv[2]))
