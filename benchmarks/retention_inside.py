"""`python -m benchmarks.retention_inside DATABASES BACKUPS`, with a new site's settings: fills it and measures in it.

Prints JSON: seconds by name.
"""

import io
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

BATCH = 5000


def main(databases: int, backups: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    fill(databases, backups)
    print(json.dumps(measure()))


def fill(databases: int, backups: int) -> None:
    """A day apart each, two of each hundred failed; only what is to go has objects."""
    from django.utils import timezone

    from backups.destinations import open_storage
    from backups.models import Backup, Copy, Destination
    from backups.services.save_destination import ensure_default_destination
    from databases.models import Database
    from databases.services.save_policy import save_policy

    destination = ensure_default_destination() or Destination.objects.get()
    storage, now = open_storage(destination), timezone.now()
    made = Database.objects.bulk_create(
        Database(id=f"db{n:05}", name=f"Database {n}", engine="postgres", host="db.example", schedule="30 3 * * *")
        for n in range(databases)
    )
    rows = (_backup(database, number, now) for database in made for number in range(backups))
    while batch := [row for _, row in zip(range(BATCH), rows, strict=False)]:
        Backup.objects.bulk_create(batch)
        good = [row for row in batch if row.status == "completed"]
        Copy.objects.bulk_create(
            Copy(backup=row, destination=destination, attempt=1, key=key_of(row), state="stored") for row in good
        )
    oldest = Backup.objects.filter(finished_at__lt=now - timedelta(days=backups - 1.5))
    for row in oldest.only("pk", "database_id"):
        storage.write_text(key_of(row), "artefact")
        storage.write_text(f"{key_of(row)}.manifest.json", "{}")
    save_policy(values={"max_backups": backups - 3, "keep_weekly": 4})


def _backup(database: Any, number: int, now: Any) -> Any:
    from backups.models import Backup

    at = now - timedelta(days=number, minutes=10)
    return Backup(
        database=database,
        database_name=database.name,
        engine=database.engine,
        status="failed" if number in (20, 40) else "completed",
        created_at=at,
        started_at=at,
        finished_at=at,
        size=10_000_000,
        manifest={"engine": {"counts": {f"public.table_{n}": n * 1000 for n in range(20)}}},
    )


def key_of(backup: Any) -> str:
    return f"{backup.database_id}/2026/01/{backup.database_id}_2026-01-01_03-30-00_{backup.pk}-1.dump.zst"


def measure() -> dict[str, float]:
    from django.core.management import call_command
    from django.utils import timezone

    from backups.models import Backup, Retained
    from databases.models import Database
    from jobs.models import Status
    from jobs.services.sweep import sweep_quickly, sweep_slowly

    told = io.StringIO()
    figures = {"decide": _seconds(lambda: call_command("prune", "--dry-run", stdout=told, stderr=told))}
    figures["prune"] = _seconds(lambda: call_command("prune", stdout=told, stderr=told))
    expired, expected = Backup.objects.filter(status=Status.EXPIRED).count(), Database.objects.count()
    if expired != expected:
        raise RuntimeError(f"{expired} backups expired, {expected} should have")
    Database.objects.update(scheduled_since=timezone.now())
    sweep_quickly()
    figures["quick"] = _seconds(sweep_quickly)
    figures["idle"] = _seconds(sweep_slowly)
    Retained.objects.all().delete()
    figures["slow"] = _seconds(sweep_slowly)
    return figures


def _seconds(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "backupsite.settings"
    sys.path.insert(0, str(Path.cwd()))
    main(int(sys.argv[1]), int(sys.argv[2]))
