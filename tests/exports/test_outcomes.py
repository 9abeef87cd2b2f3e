"""What follows how an export ends: what is told of it, and when it is forgotten."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from exports.models import Export, ExportObject, Source
from exports.services.remove import remove_deleted
from exports.services.request import request_export
from exports.services.run import ended
from exports.services.save_policy import save_export_policy
from jobs.models import Status
from jobs.services.cancel import cancel_job
from jobs.services.run import run_job
from notifications.models import Event, Severity
from tests.exports.runs import ask, export
from tests.room import finish
from tests.servers.records import RecordsServer

ADA, BOB = "ab" * 32, "cd" * 32


def told() -> list[tuple[str, str]]:
    return list(Event.objects.filter(kind__startswith="export.").order_by("pk").values_list("kind", "severity"))


@pytest.mark.django_db(transaction=True)
class TestEvents:
    pytestmark = pytest.mark.usefixtures("offered")

    def test_a_completed_one_is_told_of_and_its_user_is_not(self) -> None:
        done = export(ADA)
        assert done.status == Status.COMPLETED, done.error_message
        assert told() == [("export.completed", Severity.INFO)]
        event = Event.objects.get(kind="export.completed")
        assert event.subject_id == done.pk
        assert ADA not in f"{event.message} {event.data}"

    def test_a_failed_one_is_told_of(self, records_service: RecordsServer) -> None:
        records_service.token = "another"
        shop = Source.objects.get()
        shop.options["url"] = f"{records_service.url}/list/{{pubkey}}"
        shop.options["collection"] = ""
        shop.save()
        failed = export(ADA)
        assert failed.status == Status.FAILED
        assert told() == [("export.failed", Severity.WARNING)]
        event = Event.objects.get(kind="export.failed")
        assert ADA in failed.error_message  # the address that was asked names it
        assert ADA not in f"{event.message} {event.hint} {event.data}"

    def test_an_attempt_that_is_followed_by_another_is_not(self) -> None:
        ended(Export.objects.create(pubkey=ADA, status=Status.SCHEDULED, attempt=1, error_code="no_relay"))
        assert told() == []

    def test_a_cancelled_one_is_told_of(self) -> None:
        cancel_job(job=ask(ADA))
        assert told() == [("export.cancelled", Severity.INFO)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("offered")
def test_no_more_exports_run_at_once_than_the_operator_says(settings: Any) -> None:
    settings.BACKUPSITE_MAX_PARALLEL_EXPORTS = 1
    later = timezone.now() + timedelta(hours=1)
    Export.objects.create(pubkey=BOB, status=Status.IN_PROGRESS, attempt=1, lease_expires_at=later)
    asked = request_export(pubkey=ADA, type="full")
    run_job(kind_name="export", job_id=asked.pk)
    asked.refresh_from_db()
    assert asked.status == Status.PENDING
    settings.BACKUPSITE_MAX_PARALLEL_EXPORTS = 2
    assert finish(asked).status == Status.COMPLETED


@pytest.mark.django_db
class TestOldRows:
    def left(self) -> set[str]:
        remove_deleted()
        return set(Export.objects.values_list("metadata__is", flat=True))

    @pytest.fixture(autouse=True)
    def rows(self, disk: Any) -> None:
        now = timezone.now()
        for name, status, days in (
            ("expired long ago", Status.EXPIRED, 31),
            ("failed long ago", Status.FAILED, 31),
            ("cancelled long ago", Status.CANCELLED, 31),
            ("expired", Status.EXPIRED, 29),
            ("failed", Status.FAILED, 29),
            ("to be fetched still", Status.COMPLETED, 31),
            ("waiting", Status.SCHEDULED, 31),
        ):
            then = now - timedelta(days=days)
            Export.objects.create(pubkey=ADA, status=status, finished_at=then, metadata={"is": name})
        still = Export.objects.create(
            pubkey=ADA, status=Status.EXPIRED, finished_at=now - timedelta(days=31), metadata={"is": "stored still"}
        )
        ExportObject.objects.create(export=still, destination=disk, attempt=1, key="x", state=ExportObject.State.STORED)

    def test_are_forgotten_after_the_policy_s_days(self) -> None:
        save_export_policy(values={"kept_days": 30})
        assert self.left() == {"expired", "failed", "to be fetched still", "waiting", "stored still"}

    def test_stay_where_the_policy_says_never(self) -> None:
        save_export_policy(values={"kept_days": 0})
        assert len(self.left()) == 8
