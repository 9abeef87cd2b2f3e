"""Uploads that a killed restore has left in its target are aborted, and nobody else's."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.utils import timezone

from backups.models import Restore
from backups.services import left_uploads
from backups.services.left_uploads import abort_left_uploads
from jobs.models import LogLine, Status
from jobs.registry import kind_of, sweep_steps
from jobs.services.sweep import WORKER_LOST
from tests.databases.engines.s3_bucket.buckets import uploads_of
from tests.room import register_bucket
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db
KEY = "a b/ü+100%.jpg"


@pytest.fixture
def client(s3: S3Server) -> Iterator[Any]:
    with closing(s3.client()) as opened:
        yield opened


@pytest.fixture
def lost(s3: S3Server, s3_bucket: str, client: Any) -> Restore:
    """It had an upload open when its worker was killed."""
    upload = client.create_multipart_upload(Bucket=s3_bucket, Key=KEY)["UploadId"]
    return Restore.objects.create(
        backup_label="bkp_x",
        target=register_bucket(s3, s3_bucket),
        status=Status.FAILED,
        error_code=WORKER_LOST.code,
        finished_at=timezone.now(),
        uploads={upload: quote(KEY)},
    )


def test_they_are_aborted_and_those_of_others_stay(s3: S3Server, s3_bucket: str, client: Any, lost: Restore) -> None:
    client.create_multipart_upload(Bucket=s3_bucket, Key="of somebody else")
    assert [abort_left_uploads(), abort_left_uploads()] == [1, 0]
    assert uploads_of(s3, s3_bucket) == ["of somebody else"]
    assert next(iter(lost.uploads)) in LogLine.objects.get(job_id=lost.pk).message


def test_what_is_gone_already_is_no_error(s3_bucket: str, client: Any, lost: Restore) -> None:
    client.abort_multipart_upload(Bucket=s3_bucket, Key=KEY, UploadId=next(iter(lost.uploads)))
    assert [abort_left_uploads(), abort_left_uploads()] == [1, 0]


def test_those_of_a_restore_that_runs_are_its_own(s3: S3Server, s3_bucket: str, lost: Restore) -> None:
    Restore.objects.update(status=Status.IN_PROGRESS)
    assert (abort_left_uploads(), uploads_of(s3, s3_bucket)) == (0, [KEY])


def test_a_target_that_does_not_answer_is_asked_again_for_a_week(s3: S3Server, s3_bucket: str, lost: Restore) -> None:
    assert lost.target is not None
    lost.target.options |= {"bucket": "no-such-bucket"}
    lost.target.save()
    assert (abort_left_uploads(), Restore.objects.get().uploads) == (0, lost.uploads)
    lost.target.options |= {"bucket": s3_bucket}
    lost.target.save()
    Restore.objects.update(finished_at=timezone.now() - timedelta(days=8))
    assert (abort_left_uploads(), uploads_of(s3, s3_bucket)) == (0, [KEY])
    Restore.objects.update(finished_at=timezone.now() - timedelta(days=6))
    assert (abort_left_uploads(), uploads_of(s3, s3_bucket)) == (1, [])


def test_a_target_that_takes_the_whole_round_holds_up_no_other(
    s3: S3Server, s3_bucket: str, lost: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left_uploads, "ROUND_S", -1.0)  # each does
    silent = register_bucket(s3, "no-such-bucket")
    ended = {"status": Status.FAILED, "uploads": {"x": "y"}}
    for minutes in (-1, 1):  # whichever order there were, one is before it
        at = timezone.now() + timedelta(minutes=minutes)
        row = Restore.objects.create(backup_label="bkp_x", target=silent, finished_at=at, **ended)
        Restore.objects.filter(pk=row.pk).update(created_at=at)
    assert any(abort_left_uploads() for _ in range(100))
    assert uploads_of(s3, s3_bucket) == []


@pytest.mark.parametrize(
    ("status", "code", "kept"),
    [
        ("failed", "worker_lost", True),
        ("cancelled", "cancelled", True),
        ("failed", "auth", False),
        ("completed", "", False),
    ],
)
def test_one_that_ended_by_itself_has_left_none(lost: Restore, status: str, code: str, kept: bool) -> None:
    lost.status, lost.error_code = status, code
    kind_of("restore").ended(lost)
    assert bool(Restore.objects.get().uploads) is kept


def test_the_sweeper_does_it() -> None:
    assert abort_left_uploads in sweep_steps(slow=True).values()
