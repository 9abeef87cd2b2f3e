"""A site with people in every role, and rows of every kind."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from backups.destinations import open_storage
from backups.models import Backup, Copy, Destination, Restore, Verification
from backups.services.save_destination import save_destination
from databases.models import Database
from databases.services.save import save_database
from jobs.models import LogLine, Status
from tests.api import browser_of

PASSWORD = "correct horse"


@pytest.fixture
def log_in(db: None) -> Callable[[str], Client]:
    """`log_in("viewer")` is a browser of a user with that role."""

    return partial(browser_of, password=PASSWORD)


@pytest.fixture
def shop(db: None) -> Database:
    values: dict[str, Any] = {
        "id": "shop",
        "name": "Shop",
        "engine": "postgres",
        "host": "db.example.org",
        "port": 5432,
        "username": "backup",
        "password": "kept-secret",
        "database_name": "shop",
        "schedule": "30 3 * * *",
        "options": {"format": "custom"},
    }
    return save_database(database=Database(), values=values, create=True)


@pytest.fixture
def disk(db: None, tmp_path: Any) -> Destination:
    values = {"id": "disk", "name": "Disk", "kind": "local", "path": str(tmp_path / "disk"), "is_default": True}
    return save_destination(destination=Destination(), values=values, create=True)


@pytest.fixture
def make_backup(shop: Database, disk: Destination) -> Callable[..., Backup]:
    def make(status: str = Status.COMPLETED, **values: Any) -> Backup:
        now = timezone.now()
        done = {"size": 1_000_000, "original_size": 5_000_000, "sha256": "a" * 64, "md5": "b" * 32}
        fields: dict[str, Any] = {
            "database": shop,
            "database_name": shop.name,
            "engine": "postgres",
            "status": status,
            "started_at": now - timedelta(seconds=70),
            "manifest": {"engine": {"format": "custom", "counts": {"public.orders": 1200, "public.skipped": None}}},
            **(done if status == Status.COMPLETED else {}),
            **({} if status in ("pending", "in_progress", "scheduled") else {"finished_at": now}),
            **values,
        }
        backup = Backup.objects.create(**fields)
        if status == Status.COMPLETED:
            key = f"shop/2026/03/shop_2026-03-01_03-30-00_{backup.pk}-1.dump.zst"
            open_storage(disk).write(key, BytesIO(b"artefact"))
            Copy.objects.create(backup=backup, destination=disk, attempt=1, key=key, state="stored", readback="full")
        LogLine.objects.create(job_kind="backup", job_id=backup.pk, attempt=1, message="dumping")
        return backup

    return make


@pytest.fixture
def every_page(make_backup: Callable[..., Backup], shop: Database, disk: Destination) -> list[str]:
    """The address of a page of every kind, in every state that changes it."""
    done = make_backup()
    running = make_backup(Status.IN_PROGRESS, phase="dump", bytes_done=100, bytes_total_estimate=1000, bytes_per_s=50)
    failed = make_backup(
        Status.FAILED, phase="dump", error_code="stalled", error_message="It hangs.", error_hint="Look."
    )
    restore = Restore.objects.create(
        backup=done,
        backup_label=done.pk,
        target=shop,
        target_name=shop.name,
        status=Status.COMPLETED,
        report={"counts": {"public.orders": 1200}, "notes": ["Owners were left out."]},
    )
    verification = Verification.objects.create(
        backup=done,
        backup_label=done.pk,
        status=Status.COMPLETED,
        report={"copies": [{"destination": "disk", "ok": True, "checked": ["size", "digests"]}]},
    )
    lists = ["databases/database", "backups/backup", "backups/restore", "backups/verification", "backups/destination"]
    pages = [f"/admin/{name}/" for name in lists]
    pages += [f"/admin/backups/backup/{job.pk}/change/" for job in (done, running, failed)]
    pages += [
        "/admin/",
        "/admin/databases/database/shop/change/",
        "/admin/backups/destination/disk/change/",
        f"/admin/backups/restore/{restore.pk}/change/",
        f"/admin/backups/verification/{verification.pk}/change/",
    ]
    return pages
