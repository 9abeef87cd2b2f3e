"""`python -m benchmarks.inside COUNT`, with the site's settings: fills its tables up to COUNT backups, counts queries.

Prints JSON: the queries of each page, and the cookie of a session to fetch them with.
"""

import json
import os
import sys
from datetime import timedelta

PAGES = {
    "API list": "/api/backups",
    "API list, last page": "/api/backups?page={last}",
    "API list, filtered": "/api/backups?status=completed&database=tiny",
    "admin list": "/admin/backups/backup/",
}
PAGE_SIZE = 50
BATCH = 1000


def main(count: int) -> None:
    import django

    django.setup()
    from backups.models import Backup

    fill(count - Backup.objects.count())
    print(json.dumps(measure(path_of(count))))


def path_of(count: int) -> dict[str, str]:
    """Each page's path in a table of `count` backups."""
    return {name: path.format(last=-(-count // PAGE_SIZE)) for name, path in PAGES.items()}


def fill(missing: int) -> None:
    """Finished backups as a busy year leaves them: each with a manifest and a copy."""
    from django.utils import timezone

    from backups.models import Backup, Copy, Destination
    from databases.models import Database
    from jobs.models import Status

    database, destination = Database.objects.get(pk="tiny"), Destination.objects.get(is_default=True)
    manifest = {"engine": {"counts": {f"public.table_{n}": n * 1000 for n in range(100)}}}
    now = timezone.now()
    for first in range(0, missing, BATCH):
        backups = [
            Backup(
                database=database,
                database_name=database.name,
                engine=database.engine,
                status=Status.FAILED if n % 50 == 0 else Status.COMPLETED,
                created_at=now - timedelta(minutes=n),
                started_at=now - timedelta(minutes=n),
                finished_at=now - timedelta(minutes=n) + timedelta(seconds=20),
                size=10_000_000 + n,
                original_size=40_000_000 + n,
                manifest=manifest,
            )
            for n in range(first, min(first + BATCH, missing))
        ]
        Backup.objects.bulk_create(backups)
        Copy.objects.bulk_create(
            Copy(backup=backup, destination=destination, attempt=1, key=f"tiny/{backup.pk}", state=Copy.State.STORED)
            for backup in backups
            if backup.status == Status.COMPLETED
        )


def measure(paths: dict[str, str]) -> dict[str, object]:
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(get_user_model().objects.get(username="admin"))
    queries = {}
    for name, path in paths.items():
        client.get(path)  # what is asked once per process does not count
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(path)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code} {answer.content[:500]!r}")
        queries[name] = len(captured)
    return {"queries": queries, "cookie": f"{settings.SESSION_COOKIE_NAME}={client.session.session_key}"}


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "backupsite.settings"
    main(int(sys.argv[1]))
