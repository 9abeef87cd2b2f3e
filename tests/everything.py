"""One row of everything that has a page in the admin."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from audit.models import Entry
from backups.models import (
    Anomaly,
    Approval,
    Copy,
    CopyJob,
    DatabaseDestination,
    Destination,
    Drill,
    Restore,
    Usage,
    Verification,
)
from backups.services.sign_report import sign, storable
from backupsite.api.models import ApiKey
from exports.models import Export, Source
from jobs.models import Status
from notifications.models import Channel, Delivery, Event, Mute, Ping, Rule
from packages.models import Package, PackageMember
from tests.api import make_backup, make_database, user_with
from tests.backupsite.admin.test_drills import REPORT

GIB = 1 << 30


def make_everything() -> list[Any]:
    """The rows that have a page."""
    now, report = timezone.now(), storable(REPORT)
    user = user_with("admin", username="admin")
    database = make_database(name="Webshop", schedule="30 3 * * *")
    disk = Destination.objects.create(
        id="disk",
        name="Disk of the backup host",
        kind="local",
        path="/srv/backups",
        is_default=True,
        looked_at=now,
        free_bytes=80 * GIB,
    )
    vault = Destination.objects.create(
        id="vault",
        name="Vault",
        kind="s3",
        bucket="vault",
        prefix="shop",
        region="eu-central-1",
        off_site=True,
        object_lock_mode="COMPLIANCE",
        object_lock_days=30,
        fault="unreachable",
        looked_at=now - timedelta(minutes=3),
    )
    for day in range(30):
        at = (now - timedelta(days=29 - day)).date()
        Usage.objects.create(destination=disk, day=at, stored_bytes=(40 + day) * GIB, copies=90 + day, counted_at=now)
    DatabaseDestination.objects.create(database=database, destination=disk, position=0)
    DatabaseDestination.objects.create(database=database, destination=vault, position=1, retention_days=365, lacking=2)
    counts = {"public.orders": 0, "public.customers": 40_000}
    backup = make_backup(
        database, destination=disk, size=GIB, original_size=3 * GIB, manifest={"engine": {"counts": counts}}
    )
    Copy.objects.create(
        backup=backup, destination=vault, attempt=2, key="k2", state="quarantined", error="SHA-256 differs."
    )
    finding = {"measure": "item", "name": "public.orders", "change": "emptied", "found": 0, "previous": 120_412}
    size = {"measure": "size", "name": "", "change": "fall", "found": 3 * GIB, "previous": 9 * GIB}
    findings = [{**finding, "low": 96_000, "high": 141_000}, {**size, "low": 8 * GIB, "high": 11 * GIB}]
    Anomaly.objects.create(backup=backup, database=database, findings=findings)
    asked = {
        "backup": backup,
        "backup_label": backup.pk,
        "status": Status.COMPLETED,
        "started_at": now,
        "finished_at": now,
    }
    restore = Restore.objects.create(**asked, target=database, target_name=database.name)
    verification = Verification.objects.create(**asked, report={"copies": []})
    copy = CopyJob.objects.create(**asked, destination=vault, destination_label="vault")
    approval = Approval.objects.create(
        action="restore",
        subject_id=backup.pk,
        target_id=database.pk,
        requested_by_name="jo",
        summary=f"Restore {backup.pk} over what Webshop holds.",
        expires_at=now + timedelta(hours=4),
    )
    channel = Channel.objects.create(
        name="On call",
        kind="webhook",
        settings={"place": "https://hooks.example.com/…"},
        last_ok_at=now,
        failing_since=now,
        last_error="The other side answered 500.",
    )
    rule = Rule.objects.create(channel=channel, kinds=["backup.*", "anomaly.*"], databases=[database.pk])
    mute = Mute.objects.create(
        scope="database", database_id=database.pk, until=now + timedelta(hours=2), reason="Works", created_by=user
    )
    ping = Ping.objects.create(database_id=database.pk, place="https://hc-ping.com/…", url="", last_ok_at=now)
    event = Event.objects.create(
        kind="anomaly.found",
        severity="error",
        subject_id=backup.pk,
        database_id=database.pk,
        message=f"The backup {backup.pk} of Webshop is unlike those before it: public.orders is empty.",
        hint="Look.",
    )
    Event.objects.create(
        kind="security.user_created", severity="warning", subject_id=str(user.pk), message="A user was added."
    )
    Event.objects.create(
        kind="retention.expired", severity="info", subject_id=database.pk, message="Retention takes 3."
    )
    for state in ("sent", "failed", "waiting"):
        delivery = Delivery.objects.create(
            channel=channel, rule=rule, state=state, attempts=2, error="500" * (state != "sent")
        )
        delivery.events.add(event)
    drill = Drill.objects.create(
        database=database, database_name=database.name, **asked, report=report, signature=sign(report)
    )
    package = Package.objects.create(status=Status.COMPLETED, size=GIB, finished_at=now)
    PackageMember.objects.create(package=package, position=0, database_id=database.pk, database_name=database.name)
    source = Source.objects.create(id="posts", name="The posts", kind="http", options={"url": "https://x/{pubkey}"})
    export = Export.objects.create(pubkey="ab" * 32, status=Status.COMPLETED, size=GIB, finished_at=now)
    key = ApiKey.objects.create(name="robot", role="viewer", digest="0" * 64)
    entry = Entry.objects.create(who="admin", via="admin", action="database.change", outcome="done")
    rows = [database, backup, disk, vault, restore, verification, copy, approval, drill, package, source, export]
    return [*rows, channel, rule, mute, ping, event, user, key, entry]


def address_of(row: Any) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"
