"""`python -m tests.browser.full_rows`, with the settings of a site: a month of history, and a row of what is told.

What has objects is made by full_site.py, for real; what is here would take a month. Prints the addresses as JSON.
"""

import hashlib
import json
import math
import os
import sys
from datetime import datetime, timedelta
from typing import Any

MIB = 1 << 20
DAYS = 30
NAMES = (
    ("accounts", "Accounts", "postgres", 480),
    ("analytics", "Analytics", "postgres", 3100),
    ("catalogue", "Catalogue", "mongodb", 220),
    ("crm", "Customer relations", "postgres", 760),
    ("documents", "Documents", "s3", 5400),
    ("forum", "Forum", "mongodb", 310),
    ("identity", "Identity provider", "postgres", 45),
    ("inventory", "Inventory", "postgres", 130),
    ("invoices", "Invoices", "postgres", 270),
    ("mail", "Mail archive", "s3", 2600),
    ("metrics", "Metrics", "postgres", 1900),
    ("payroll", "Payroll", "postgres", 18),
    ("reports", "Reports of the warehouse, by month and by country", "postgres", 640),
    ("sessions", "Sessions", "mongodb", 12),
    ("tickets", "Tickets", "http", 64),
    ("wiki", "Wiki", "postgres", 95),
)
MISSED = {"forum": (9, 10), "metrics": (0, 1), "wiki": (20,)}  # days ago
FAILED = {"analytics": (5,), "crm": (12, 13), "mail": (17,), "tickets": (3, 24)}


def main() -> None:
    import django

    django.setup()
    from databases.models import Database
    from databases.services.save_policy import save_policy

    save_policy(values={"schedule": ["0 2 * * *"], "retention_days": 90, "keep_monthly": 12, "drill_within_days": 30})
    for number, (pk, name, engine, size) in enumerate(NAMES):
        values = {"host": "db.internal", "username": "backup", "database_name": pk, "enabled": pk != "sessions"}
        options = {"bucket": pk} if engine == "s3" else {}
        schedule = f"{number * 7 % 60} {number * 5 % 24} * * *"
        row = Database.objects.create(pk=pk, name=name, engine=engine, schedule=schedule, options=options, **values)
        _history(row, size=size * MIB)
    _usage()
    sys.stdout.write(json.dumps(_told() | _asked_for()))


def _history(database: Any, *, size: int) -> None:
    """A backup a day, growing and breathing a little; the newest was at the newest due time."""
    from django.utils import timezone

    from backups.models import Backup, Copy, Destination, Slot
    from databases.models import Database

    now = timezone.now()
    minute, hour = (int(part) for part in database.schedule.split()[:2])
    newest = now.replace(minute=minute, hour=hour, second=0, microsecond=0)
    newest -= timedelta(days=newest > now - timedelta(minutes=5))
    Database.objects.filter(pk=database.pk).update(scheduled_since=now - timedelta(days=DAYS))
    disk, vault = Destination.objects.get(is_default=True), Destination.objects.get(pk="vault")
    for day in range(DAYS):
        at = newest - timedelta(days=day)
        missed, failed = day in MISSED.get(database.pk, ()), day in FAILED.get(database.pk, ())
        reason = "missed: nothing was running" if missed else ""
        slot = Slot(database=database, due_at=at, outcome="skipped" if missed else "requested", reason=reason)
        if not missed:
            slot.backup = backup = Backup(**_run(database, at, size, day, failed=failed))
            backup.save()
            for place in () if failed else (disk, vault) if day < 7 else (disk,):
                copied = {"key": f"{backup.pk}.zst", "readback": "full", "verified_at": now, "state": "stored"}
                Copy.objects.create(backup=backup, destination=place, attempt=1, **copied)
        slot.save()


def _run(database: Any, at: datetime, size: int, day: int, *, failed: bool) -> dict[str, Any]:
    seed = int(hashlib.sha256(f"{database.pk}{day}".encode()).hexdigest()[:6], 16) / 0xFFFFFF
    plain = int(size * (1 - day * 0.006 + 0.02 * math.sin(day) + 0.02 * seed))
    ended = at + timedelta(seconds=4 + plain / (90 * MIB))
    common = {"database": database, "database_name": database.name, "engine": database.engine, "trigger": "schedule"}
    times = {"created_at": at, "started_at": at + timedelta(seconds=1), "finished_at": ended, "attempt": 1}
    if failed:
        words = "The server closed the connection while the dump ran."
        error = {"error_code": "connection_lost", "error_message": words, "error_hint": "Look at the server's log."}
        return {**common, **times, **error, "status": "failed"}
    proven = at + timedelta(hours=2) if day in (4, 11, 18) else None
    digests = {"sha256": hashlib.sha256(at.isoformat().encode()).hexdigest(), "md5": "5d41402abc4b2a76b9719d911017c592"}
    sizes = {"size": int(plain * 0.31), "original_size": plain}
    return {**common, **times, **digests, **sizes, "status": "completed", "proven_at": proven, "verified_at": ended}


def _usage() -> None:
    """What lay at each destination at the end of each day, and lies there now, by the rows above."""
    from django.db.models import Count, Sum
    from django.utils import timezone

    from backups.models import Copy, Destination, Usage

    now = timezone.now()
    for place in Destination.objects.all():
        for back in range(DAYS):
            at = now - timedelta(days=back)
            there = Copy.objects.filter(destination=place, backup__created_at__lte=at)
            found = there.aggregate(bytes=Sum("backup__size"), copies=Count("pk"))
            counted = {"stored_bytes": found["bytes"] or 0, "copies": found["copies"], "counted_at": at}
            Usage.objects.update_or_create(destination=place, day=at.date(), defaults=counted)


def _told() -> dict[str, str]:
    """An anomaly, and of notifications one of each kind."""
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from backups.models import Anomaly, Backup
    from notifications.models import Channel, Delivery, Event, Mute, Ping, Rule
    from tests.api import user_with

    now, admin = timezone.now(), get_user_model().objects.get(username="admin")
    for name, role in (("maria", "admin"), ("jo", "operator"), ("sam", "viewer")):
        user_with(role, username=name)
    strange = Backup.objects.filter(database_id="crm", status="completed").first()
    assert strange is not None
    finding = {"measure": "item", "name": "public.leads", "change": "emptied", "found": 0, "previous": 120_412}
    size = {"measure": "size", "name": "", "change": "fall", "found": 210 * MIB, "previous": 760 * MIB}
    findings = [{**finding, "low": 96_000, "high": 141_000}, {**size, "low": 700 * MIB, "high": 820 * MIB}]
    Anomaly.objects.create(backup=strange, database_id="crm", findings=findings)
    channel = Channel.objects.create(name="On call", kind="webhook", last_ok_at=now)
    Channel.objects.create(name="Operators by mail", kind="email", last_ok_at=now - timedelta(hours=5))
    channel.settings = {"place": "https://hooks.example.com/…"}
    channel.save()
    rule = Rule.objects.create(channel=channel, kinds=["backup.failed", "anomaly.found"], databases=["crm"])
    mute = Mute.objects.create(
        scope="database", database_id="wiki", until=now + timedelta(hours=2), reason="Moves house", created_by=admin
    )
    Ping.objects.create(database_id="payroll", place="https://hc-ping.com/…", url="", last_ok_at=now)
    words = f"The backup {strange.pk} of Customer relations is unlike those before it: public.leads is empty."
    told = {"database_id": "crm", "subject_id": strange.pk, "message": words, "routed_at": now}
    event = Event.objects.create(kind="anomaly.found", severity="error", hint="Look at it.", **told)
    for number, state in enumerate(("sent", "sent", "failed")):
        ended = now - timedelta(minutes=number)
        answer = "The other side answered 500." if state == "failed" else ""
        delivery = Delivery.objects.create(channel=channel, rule=rule, state=state, error=answer, ended_at=ended)
        delivery.events.add(event)
    return {
        "anomaly": f"/admin/backups/backup/{strange.pk}/change/",
        "channel": f"/admin/notifications/channel/{channel.pk}/change/",
        "rule": f"/admin/notifications/rule/{rule.pk}/change/",
        "mute": f"/admin/notifications/mute/{mute.pk}/change/",
        "event": f"/admin/notifications/event/{event.pk}/change/",
        "user": f"/admin/auth/user/{admin.pk}/change/",
    }


def _asked_for() -> dict[str, str]:
    """An export of an end user; the site's own worker makes it."""
    from exports.services.request import request_export
    from tests.browser.full_site import AUTHOR

    export = request_export(pubkey=AUTHOR.pubkey, type="full")
    return {"export": f"/admin/exports/export/{export.pk}/change/"}


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "backupsite.settings"
    main()
