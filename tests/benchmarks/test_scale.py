"""A large site costs the sweeper no more queries than a small one; benchmarks/scale.py has the figures."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backups.models import Backup, Copy
from benchmarks.retention_inside import fill
from benchmarks.scale_inside import fill_slots
from databases.models import Database
from jobs.services.sweep import sweep_quickly

LONGEST_S = 5.0  # on a busy machine; the benchmark holds two seconds at a larger size


@pytest.mark.slow
@pytest.mark.django_db
def test_a_quick_round_takes_the_same_queries_for_many_databases_and_little_time() -> None:
    queries = {}
    for databases in (20, 500):
        Copy.objects.all().delete()
        Backup.objects.all().delete()
        Database.objects.all().delete()
        fill(databases, 4)
        fill_slots(databases, 4)
        sweep_quickly()
        started = time.monotonic()
        with CaptureQueriesContext(connection) as counted:
            sweep_quickly()
        assert time.monotonic() - started < LONGEST_S
        queries[databases] = len(counted)
    assert queries[20] == queries[500]
