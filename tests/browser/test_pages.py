"""Every page of the menu, and a page of each row behind it, in light and dark, wide and narrow, with axe's eyes."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import RequestFactory
from django.utils import timezone

from backups.models import (
    Anomaly,
    Approval,
    Copy,
    CopyJob,
    DatabaseDestination,
    Destination,
    Restore,
    Usage,
    Verification,
)
from backupsite.admin.navigation import navigation
from jobs.models import Status
from notifications.models import Channel, Delivery, Event, Mute, Ping, Rule
from tests.api import browser_of, make_backup, make_database, user_with
from tests.browser.looks import THEMES, WIDTHS, faults_of, look, too_wide
from tests.browser.site import browser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.django_db(transaction=True)]

GIB = 1 << 30


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch, settings: Any) -> dict[str, str]:
    """One row of everything; the addresses of their pages by name. The browser's loop runs in this very thread."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    settings.BACKUPSITE_FOUR_EYES = True
    return make_rows()


def make_rows() -> dict[str, str]:
    now = timezone.now()
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
    pages = {
        "backups_backup": backup,
        "backups_destination": disk,
        "backups_destination ": vault,
        "backups_restore": restore,
        "backups_verification": verification,
        "backups_copyjob": copy,
        "backups_approval": approval,
        "notifications_channel": channel,
        "notifications_rule": rule,
        "notifications_mute": mute,
        "notifications_ping": ping,
        "notifications_event": event,
    }
    return {
        f"{name}-{row.pk}": f"/admin/{name.strip().replace('_', '/')}/{row.pk}/change/" for name, row in pages.items()
    }


def menu() -> list[str]:
    """The addresses of the navigation, as an admin has it."""
    request = RequestFactory().get("/admin/")
    request.user = user_with("admin", username="admin")
    return [str(item["link"]) for group in navigation(request) for item in group["items"]]


@pytest.fixture
def state(live_server: Any, rows: dict[str, str]) -> dict[str, Any]:
    """The window of an admin who is logged in."""
    cookies = browser_of("admin").cookies
    return {
        "cookies": [{"name": name, "value": morsel.value, "url": live_server.url} for name, morsel in cookies.items()],
        "origins": [],
    }


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_whole(
    theme: str, width: int, live_server: Any, rows: dict[str, str], state: dict[str, Any]
) -> None:
    """No script breaks, nothing scrolls sideways; in two of the four looks axe finds nothing serious."""
    amiss: list[str] = []
    looked_through = (theme, width) in (("light", 1440), ("dark", 390))
    with browser() as chromium, look(chromium, theme=theme, width=width) as page:
        page.context.add_cookies(state["cookies"])
        for address in [*menu(), *rows.values()]:
            answer = page.goto(f"{live_server.url}{address}")
            assert answer is not None and answer.status == 200, address
            assert "/login/" not in page.url, address
            amiss += [f"{address}: {fault}" for fault in faults_of(page)] if looked_through else []
            amiss += [f"{address} scrolls sideways"] if too_wide(page) else []
    assert amiss == []
