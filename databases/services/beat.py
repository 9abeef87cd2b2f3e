"""Beat's rows, one for each cron of each scheduled Database: kept in step with the schedules.

Beat only rings punctually. What is due is decided where it rings, from the Database itself, and the sweeper asks the
same every round: a row that is missing, doubled or misunderstood costs seconds of punctuality, never a backup.
"""

import json
from dataclasses import dataclass

from celery.schedules import ParseException, crontab
from django.db import transaction
from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

from databases.models import Database
from databases.selectors import can_be_followed, schedule_of, site_policy

TASK = "backups.ring_schedule"
PREFIX = "schedule:"
EXPIRES_S = 60  # a ring that waited longer in a busy queue is of no use: the sweeper was faster


@dataclass(frozen=True)
class Ring:
    """When beat rings for a Database: the five fields of a cron, and the timezone they are meant in."""

    database_id: str
    cron: str
    timezone: str


def keep_in_step(*, database_id: str = "") -> int:
    """Makes beat's rows, all or those of one Database, what the schedules ask for.

    Returns how many were missing, wrong or left over.
    """
    with transaction.atomic():
        wanted, found = _wanted(database_id), _found(database_id)
        surplus = [name for name, ring in found.items() if wanted.get(name) != ring]
        missing = {name: ring for name, ring in wanted.items() if found.get(name) != ring}
        if not (surplus or missing):
            return 0
        PeriodicTask.objects.filter(name__in=surplus).delete()
        whens = {when: _crontab(*when) for when in {(ring.cron, ring.timezone) for ring in missing.values()}}
        PeriodicTask.objects.bulk_create(
            PeriodicTask(
                name=name,
                task=TASK,
                crontab=whens[ring.cron, ring.timezone],
                args=json.dumps([ring.database_id]),
                expire_seconds=EXPIRES_S,
            )
            for name, ring in missing.items()
        )
        CrontabSchedule.objects.filter(periodictask__isnull=True).delete()
        PeriodicTasks.update_changed()
    return len({*surplus, *missing})


def drift() -> list[str]:
    """Names of beat's rows that are missing, wrong or left over."""
    wanted, found = _wanted(""), _found("")
    return sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))


def _wanted(database_id: str) -> dict[str, Ring]:
    policy = site_policy()
    scheduled = Database.objects.filter(enabled=True, schedule__isnull=False)
    return {
        f"{PREFIX}{database.pk}:{number}": Ring(database.pk, cron, database.timezone)
        for database in (scheduled.filter(pk=database_id) if database_id else scheduled)
        if can_be_followed(database, policy)
        for number, cron in enumerate(schedule_of(database, policy))
        if _understood(cron)
    }


def _found(database_id: str) -> dict[str, Ring | None]:
    """None for a row that no longer says what it was made with."""
    prefix = f"{PREFIX}{database_id}:" if database_id else PREFIX
    rows = PeriodicTask.objects.filter(name__startswith=prefix).select_related("crontab")
    return {row.name: _ring(row) for row in rows}


def _ring(row: PeriodicTask) -> Ring | None:
    when = row.crontab
    if when is None or row.task != TASK or not row.enabled or row.expire_seconds != EXPIRES_S:
        return None
    fields = (when.minute, when.hour, when.day_of_month, when.month_of_year, when.day_of_week)
    arguments = json.loads(row.args)
    return Ring(arguments[0], " ".join(fields), str(when.timezone)) if len(arguments) == 1 else None


def _understood(cron: str) -> bool:
    """Celery's cron knows less than cron does (no day 7, no last day): these the sweeper starts alone."""
    minute, hour, day_of_month, month, day_of_week = cron.split()
    try:
        crontab(minute, hour, day_of_week, day_of_month, month)
    except (ParseException, ValueError):
        return False
    return True


def _crontab(cron: str, timezone: str) -> CrontabSchedule:
    minute, hour, day_of_month, month, day_of_week = cron.split()
    fields = {
        "minute": minute,
        "hour": hour,
        "day_of_month": day_of_month,
        "month_of_year": month,
        "day_of_week": day_of_week,
        "timezone": timezone,
    }
    found: CrontabSchedule | None = CrontabSchedule.objects.filter(**fields).first()
    return found or CrontabSchedule.objects.create(**fields)
