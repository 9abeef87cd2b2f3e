"""Destinations are looked at from time to time, and nothing is written for it."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from backups.models import Destination
from backups.services.look import look_at_destinations
from tests.room import local_destination, s3_destination
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db


def looked() -> str:
    Destination.objects.update(looked_at=timezone.now() - timedelta(hours=1))
    assert look_at_destinations() == 1
    assert look_at_destinations() == 0, "not again within minutes"
    return Destination.objects.get().fault


def test_a_folder_in_order_has_no_fault_and_nothing_new_in_it(tmp_path: Path) -> None:
    local_destination(tmp_path / "disk")
    before = set((tmp_path / "disk").iterdir())
    assert looked() == ""
    assert set((tmp_path / "disk").iterdir()) == before


def test_a_folder_whose_disk_is_not_mounted_is_a_fault(tmp_path: Path) -> None:
    local_destination(tmp_path / "disk")
    for path in (tmp_path / "disk").iterdir():
        path.unlink()
    assert looked() != ""


def test_a_bucket_is_asked_without_writing(s3: S3Server, s3_bucket: str) -> None:
    s3_destination(s3, s3_bucket)
    assert looked() == ""
    assert "Contents" not in s3.client().list_objects_v2(Bucket=s3_bucket)
    Destination.objects.update(bucket="there-is-none")
    assert looked() != ""


def test_a_folder_of_another_host_is_left_to_it(tmp_path: Path) -> None:
    local_destination(tmp_path / "disk", queue="other-host")
    assert look_at_destinations() == 0
