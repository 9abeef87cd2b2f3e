"""Tell of Databases that had no backup proven in time; what was told is forgotten when one is."""

import time
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from backups.models import Backup, DrillOverdue, DrillPlan
from backups.selectors import last_proven_at
from databases.engines import registry
from databases.models import Database
from databases.selectors import site_policy
from jobs.slices import until
from notifications.models import Severity
from notifications.services.record import record_event

AT_ONCE = 200  # told in one round, or forgotten
ROUND_S = 0.4


def tell_drill_overdue() -> int:
    """The sweeper's step; returns how many were told or forgotten. One query more for each different limit in use."""
    now = timezone.now()
    deadline = time.monotonic() + ROUND_S
    site_days = site_policy().drill_within_days
    own = DrillPlan.objects.values_list("within_days", flat=True).distinct()
    changed = 0
    for days in sorted({site_days, *(days for days in own if days is not None)}):
        bound = _bound_by(days, inherited=days == site_days)
        late = _late(bound, now - timedelta(days=days)) if days else bound.none()
        over = DrillOverdue.objects.filter(database__in=bound).exclude(database__in=late)
        changed += DrillOverdue.objects.filter(pk__in=list(over.values_list("pk", flat=True)[:AT_ONCE])).delete()[0]
        untold = late.filter(drill_overdue__isnull=True).order_by("pk")[:AT_ONCE]
        changed += sum(_tell(database, days, now) for database in until(deadline, untold))
    return changed


def _bound_by(days: int, *, inherited: bool) -> QuerySet[Database]:
    """Databases whose limit is `days`, by their own plan or by the site's policy."""
    limited = Q(drill_plan__within_days=days)
    if inherited:
        limited |= Q(drill_plan__isnull=True) | Q(drill_plan__within_days__isnull=True)
    return Database.objects.filter(limited)


def _late(databases: QuerySet[Database], limit: datetime) -> QuerySet[Database]:
    """Of those that can be drilled: a new one has as long as any other."""
    drillable = [kind for kind in registry.kinds() if "drill" in registry.engine_class(kind).supports]
    proven = Backup.objects.filter(database=OuterRef("pk"), proven_at__gte=limit)
    return databases.filter(~Exists(proven), enabled=True, engine__in=drillable, created_at__lt=limit)


def _tell(database: Database, days: int, now: datetime) -> int:
    with transaction.atomic():
        if not DrillOverdue.objects.get_or_create(pk=database.pk, defaults={"since": now})[1]:
            return 0  # somebody else told it
        record_event(
            kind="drill.overdue",
            severity=Severity.WARNING,
            subject_id=database.pk,
            database_id=database.pk,
            message=f"No backup of {database.name} was proven by a drill within {days} days; {_last(database)}.",
            hint="Drill it now, or give its drills a schedule. What a drill says that failed is in its report.",
            data={"last_proven_at": last_proven_at(database.pk)},
        )
    return 1


def _last(database: Database) -> str:
    last = last_proven_at(database.pk)
    return f"the last one was at {last:%Y-%m-%d %H:%M} UTC" if last else "none ever was"
