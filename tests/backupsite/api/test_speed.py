"""Ten thousand backups make no page slow. In processor time: what else runs beside the tests does not count."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Backup, Copy
from jobs.models import Status
from tests.api import api, make_database, make_destination

pytestmark = pytest.mark.django_db
TARGET_S = 0.150


def test_lists_stay_fast() -> None:
    destination = make_destination()
    databases = [make_database(f"db{number}", schedule="30 3 * * *") for number in range(50)]
    backups = Backup.objects.bulk_create(
        Backup(
            database=databases[number % 50],
            database_name="Shop",
            engine="postgres",
            status=Status.COMPLETED,
            finished_at=timezone.now(),
            manifest={"tables": ["x" * 100] * 20},
        )
        for number in range(10_000)
    )
    Copy.objects.bulk_create(
        Copy(backup=backup, destination=destination, attempt=1, key=backup.pk, state=Copy.State.STORED)
        for backup in backups
    )
    client = api("viewer")
    for address in ("/api/backups", "/api/backups?page=200", "/api/backups?status=completed", "/api/databases"):
        took = []
        for _ in range(5):
            started = time.process_time()
            with CaptureQueriesContext(connection) as asked:
                answer = client.get(address)
            took.append(time.process_time() - started)
            assert len(answer.json()["results"]) == 50
            assert len(asked) <= 6
        assert min(took) < TARGET_S, (address, took)
