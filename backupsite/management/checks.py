"""What `doctor` looks at. A check yields findings; it raises for nothing that it is there to find."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from queue import Empty
from typing import Any, cast

from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError
from kombu.simple import SimpleQueue

from backups.anomaly_selectors import marks_holding
from backups.destinations import check_destination
from backups.models import Backup, Destination, Overdue
from backups.services.protect_self import SELF_ID
from backups.services.recovery_kit import kit_is_taken
from backups.services.schedule import unrecorded
from backupsite.health.selectors import QUEUE_AGE, SEEN_WITHIN, oldest_runnable
from backupsite.management.sealed import sealed_columns, tokens_of
from databases.engines import registry
from databases.hooks import Hooks, program_fault
from databases.models import Database
from databases.selectors import site_policy
from databases.services.beat import drift
from exports.selectors import enabled_sources, lacks_address
from jobs.errors import BackupError
from jobs.fields import decrypt
from jobs.selectors import alive
from notifications.models import Channel, Ping

OK, WARN, FAIL = "OK", "WARN", "FAIL"
LOW_DISK, LITTLE_DISK = 100 << 20, 1 << 30  # bytes
CLOCK_WARN_S, CLOCK_FAIL_S = 2.0, 30.0
OWN_AGE = timedelta(days=2)
START = "Start the site: manage.py serve."


@dataclass(frozen=True)
class Finding:
    check: str
    state: str
    message: str
    hint: str = ""


def findings() -> Iterator[Finding]:
    for name, check in CHECKS.items():
        for state, message, hint in check():
            yield Finding(name, state, message, hint)


Found = Iterator[tuple[str, str, str]]


def tools() -> Found:
    for kind in registry.kinds():
        engine = registry.engine_class(kind)
        found = engine.tools(settings.BACKUPSITE_ENGINE_SETTINGS)
        for text in found or ():
            yield OK, text, ""
        if found == ():
            wanted = Database.objects.filter(engine=kind).exists()
            yield FAIL if wanted else WARN, f"No tools for {engine.label} were found.", engine.tools_hint
    age = shutil.which("age")
    yield OK, f"age in {age}" if age else "age is not installed; it is only wanted to restore by hand", ""


def keys() -> Found:
    folder = Path(settings.KEYS_DIR)
    loose = [path for path in (folder, *folder.glob("*")) if path.stat().st_mode & 0o077] if folder.exists() else []
    for path in loose:
        yield FAIL, f"{path} can be read by others.", f"chmod go= {path}"
    try:
        count = sum(1 for column in sealed_columns() for _, token in tokens_of(column) if decrypt(token))
    except BackupError as error:
        yield FAIL, error.message, error.hint
    else:
        yield OK, f"{count} stored secrets open with this site's keys", ""
    if settings.BACKUPSITE_AGE_RECIPIENTS and not settings.BACKUPSITE_AGE_IDENTITIES:
        yield OK, "keyless: encrypted backups are restored with a key given in the request", ""


def user() -> Found:
    if os.geteuid() == 0:
        yield WARN, "The site runs as root.", "Give it a user of its own: it needs nothing but its data folder."
    else:
        yield OK, f"runs as user {os.geteuid()}", ""


def disk() -> Found:
    usage = shutil.disk_usage(settings.DATA_DIR)
    state = FAIL if usage.free < LOW_DISK else WARN if usage.free < LITTLE_DISK else OK
    hint = "" if state == OK else "Make room: the site's own rows need it too."
    yield state, f"{usage.free / (1 << 30):.1f} GiB free in {settings.DATA_DIR}", hint


def database() -> Found:
    yield OK, f"{connection.vendor} answers", ""
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        yield FAIL, f"{len(pending)} migrations are not applied.", "Restart `manage.py serve`, which applies them."


def clock() -> Found:
    """Leases run by the site database's clock; SQLite has this host's own."""
    if connection.vendor != "postgresql":
        yield OK, "the site's database has this host's clock", ""
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        apart = abs((timezone.now() - cursor.fetchone()[0]).total_seconds())
    state = FAIL if apart > CLOCK_FAIL_S else WARN if apart > CLOCK_WARN_S else OK
    hint = "" if state == OK else "Set both clocks by NTP."
    yield state, f"the site database's clock is {apart:.1f} s away from this host's", hint


def broker() -> Found:
    """A message there and back, through a queue of its own."""
    name = f"doctor-{uuid.uuid4().hex}"
    queue = Queue(name, Exchange(name, auto_delete=True, durable=False), routing_key=name, durable=False)
    try:
        with current_app.connection_for_write(connect_timeout=5) as wire:
            wire.ensure_connection(max_retries=1, timeout=5)
            with SimpleQueue(wire.default_channel, cast(Any, queue)) as there_and_back:
                there_and_back.put("ring")
                there_and_back.get(timeout=5).ack()
                there_and_back.queue.delete()
    except (OperationalError, OSError, Empty) as error:
        yield FAIL, f"The broker does not answer ({type(error).__name__}).", "Look at BROKER_URL and at its server."
    else:
        yield OK, f"{wire.transport.driver_name} passes messages", ""


def processes() -> Found:
    for role in ("worker", "sweeper", "beat"):
        found = alive(role, within=SEEN_WITHIN)
        if found:
            yield OK, f"{role}: {', '.join(process.name.partition('@')[2] for process in found)}", ""
        else:
            yield FAIL, f"No {role} has been seen for {SEEN_WITHIN.total_seconds():.0f} seconds.", START
    age = oldest_runnable()
    if age is not None and age > QUEUE_AGE:
        yield FAIL, f"A job has waited {age.total_seconds():.0f} s although it could run.", "Is its queue served?"


def schedules() -> Found:
    if drifting := drift():
        hint = "Beat's rows were changed behind its back; the sweeper mends them within minutes."
        yield WARN, f"Beat is out of step: {_some(drifting)}", hint
    else:
        yield OK, "Beat rings as the schedules say", ""
    if forgotten := unrecorded():
        hint = "The sweeper has stopped, or fails at it: look at its log and start it (manage.py serve)."
        yield FAIL, f"Due more than two minutes ago, and nothing happened: {_some(forgotten)}", hint
    if overdue := list(Overdue.objects.order_by("since").values_list("pk", flat=True)):
        yield FAIL, f"Due, and without a good backup since: {_some(overdue)}", "Look at their newest backups."
    if site_policy().paused:
        yield WARN, "Schedules are paused: nothing is backed up by itself.", "Take the pause back in the Policy."


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + ("…" if len(names) > 5 else "")


def destinations() -> Found:
    found = list(Destination.objects.all())
    if not any(destination.is_default for destination in found):
        yield WARN, "There is no default destination.", "Mark one as the default."
    for destination in found:
        report = check_destination(destination)
        if report.ok:
            yield OK, f"{destination.pk}: writes, reads and deletes", ""
        else:
            yield FAIL, f"{destination.pk}: {report.error}", report.hint
        for warning in report.warnings:
            yield WARN, f"{destination.pk}: {warning}", ""


def recovery() -> Found:
    """Could the site itself be brought back?"""
    if kit_is_taken():
        yield OK, "somebody took the recovery kit with the keys as they are", ""
    else:
        hint = "manage.py recovery_kit --output FILE, or Recovery kit in the admin; keep it away from this host."
        yield WARN, "Nobody has taken the recovery kit with the keys and destinations as they are now.", hint
    if not Database.objects.filter(pk=SELF_ID, built_in=True).exists():
        yield OK, "the site does not back itself up", ""
    elif Backup.objects.filter(database=SELF_ID, finished_at__gt=timezone.now() - OWN_AGE, status="completed").exists():
        yield OK, "the site itself has a backup of the last two days", ""
    else:
        yield WARN, "The site itself has no backup of the last two days.", f"Look at the Database {SELF_ID!r}."


def hooks() -> Found:
    allowed = settings.BACKUPSITE_HOOK_PROGRAMS
    yield OK, "on" if allowed else "off: BACKUPSITE_HOOK_PROGRAMS names no program", ""
    for entry in map(Path, allowed):
        if not os.access(entry, os.X_OK):
            yield WARN, f"{entry} is not on this host, or not for this user.", "Hooks that start it fail here."
            continue
        listed = sorted(entry.iterdir()) if entry.is_dir() and os.access(entry, os.R_OK) else []
        inside = [path for path in listed if path.is_file() and os.access(path, os.X_OK)]
        yield OK, f"{entry}: {', '.join(path.name for path in inside)}" if inside else str(entry), ""
        for path in (entry, *inside):
            if path.stat().st_mode & 0o022:
                yield WARN, f"{path} can be changed by others, who could run what they like.", f"chmod go-w {path}"
    for row in Database.objects.exclude(hooks={}):
        for fault in filter(None, (program_fault(program, allowed) for program in Hooks.of(row.hooks).programs)):
            yield FAIL, f"{row.pk} is not backed up: {fault}", "Allow the program, or remove the hook."


def channels() -> Found:
    found = list(Channel.objects.filter(enabled=True))
    if not found:
        yield WARN, "Nobody is told when backups fail.", "Add a channel: the admin's Channels, or POST /api/channels."
    for target in (*found, *Ping.objects.filter(enabled=True)):
        if target.failing_since:
            since = f"{target.failing_since:%Y-%m-%d %H:%M} UTC"
            yield (
                FAIL,
                f"{target.pk} takes no messages since {since}: {target.last_error}",
                "Send a test from its page.",
            )
        else:
            yield OK, f"{target.pk}: {'takes messages' if target.last_ok_at else 'not used yet'}", ""


def exports() -> Found:
    if lacks_address():
        hint = "Set BACKUPSITE_PUBLIC_URL to the address that users see, and restart."
        yield WARN, "Nobody can sign in to ask for an export: the site has no configured address.", hint
    else:
        yield OK, f"{enabled_sources().count()} sources of user data", ""


def anomalies() -> Found:
    marks = list(marks_holding())
    for mark in marks:
        since = f"{mark.found_at:%Y-%m-%d %H:%M} UTC"
        told = f"{mark.database_id}: {mark.pk} is unlike those before it since {since}; nothing is pruned"
        yield WARN, told, "Look at it, and say whether it is right or wrong."
    if not marks:
        yield OK, "no backup is unlike those before it", ""


CHECKS: dict[str, Callable[[], Found]] = {
    "database": database,
    "tools": tools,
    "keys": keys,
    "user": user,
    "disk": disk,
    "clock": clock,
    "broker": broker,
    "processes": processes,
    "schedules": schedules,
    "hooks": hooks,
    "destinations": destinations,
    "recovery": recovery,
    "anomalies": anomalies,
    "channels": channels,
    "exports": exports,
}
