"""A kind of job whose work a test writes itself, on the real Backup row."""

from collections.abc import Callable
from typing import Any

import pytest

from backups.models import Backup
from databases.models import Database
from jobs import registry
from jobs.lease import Lease
from jobs.registry import JobKind


class FakeKind:
    """Registered as the kind `backup` while a test runs; `work` is what one attempt does."""

    def __init__(self) -> None:
        self.work: Callable[[Backup, Lease], dict[str, Any]] = lambda job, lease: {}
        self.turn = True
        self.ends: list[str] = []

    def _run(self, job: Backup, lease: Lease) -> dict[str, Any]:
        return self.work(job, lease)

    def as_kind(self) -> JobKind:
        return JobKind(
            name="backup",
            model=Backup,
            run=self._run,
            may_start=lambda job: self.turn,
            ended=lambda job: self.ends.append(job.status),
        )


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> FakeKind:
    fake = FakeKind()
    monkeypatch.setitem(registry._kinds, "backup", fake.as_kind())
    return fake


@pytest.fixture
def make_job(transactional_db: None) -> Callable[..., Backup]:
    def make(**values: Any) -> Backup:
        number = Database.objects.count()
        database = Database.objects.create(id=f"db{number}", name=f"Database {number}", engine="postgres")
        return Backup.objects.create(database=database, database_name=database.name, engine="postgres", **values)

    return make
