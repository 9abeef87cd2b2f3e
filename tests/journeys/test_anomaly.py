"""A table is emptied on a real server: its next backup is completed, marked at once, and holds the others."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backups.models import Anomaly
from backups.services.look_at_anomaly import say_right
from backups.services.retain import retain
from jobs.models import Status
from notifications.models import Event
from tests.room import back_up, local_destination, register
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_emptied_table_stops_pruning_until_somebody_has_looked(
    postgres: Callable[[int], PostgresServer], fresh_database: Callable[[PostgresServer], str], tmp_path: Path
) -> None:
    server = postgres(16)
    name = fresh_database(server)
    server.psql("CREATE TABLE orders AS SELECT n, md5(n::text) AS text FROM generate_series(1, 5000) n", name)
    local_destination(tmp_path)
    shop = register(server, name, max_backups=1)
    for _ in range(5):
        assert back_up(shop).status == Status.COMPLETED
        server.psql("INSERT INTO orders SELECT n, 'more' FROM generate_series(1, 20) n", name)
    assert not Anomaly.objects.exists()
    server.psql("TRUNCATE orders", name)
    emptied = back_up(shop)
    assert emptied.status == Status.COMPLETED
    mark = Anomaly.objects.get(pk=emptied.pk)
    assert ("public.orders", "emptied", 0, 5080) in [
        (one["name"], one["change"], one["found"], one["previous"]) for one in mark.findings
    ]
    assert Event.objects.filter(kind="anomaly.found", subject_id=emptied.pk).exists()
    assert retain([shop]).expired == []
    say_right(backup=emptied)
    assert len(retain([shop]).expired) == 5
