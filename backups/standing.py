"""How each Database stands: whether a restorable backup of it exists, and what is amiss; for all of them in one query.

Lists that are filtered by a standing use these same rows, so that a figure and the list behind it cannot differ.
"""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, TextField, When
from django.db.models.functions import Cast, JSONObject, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.models import Anomaly, Backup, Copy
from databases.models import Database, Policy
from databases.schedule import INHERIT, crons
from databases.upcoming import due_within
from jobs.models import Status
from notifications.models import Mute

INHERITS = json.dumps(INHERIT)
READABLE = ("", "destination_full")  # what the last look found; one that is full can still be read

FIELDS = ("pk", "name", "engine", "enabled", "built_in", "timezone")


class Standing(NamedTuple):
    """`good_at` is when its newest restorable backup began; `failure` tells of its newest run where that failed."""

    pk: str
    name: str
    engine: str
    enabled: bool
    built_in: bool
    timezone: str
    crons: tuple[str, ...]  # none while schedules are paused
    drill_crons: tuple[str, ...]
    paused: bool  # the schedules of the whole site
    good_at: datetime | None
    proven_at: datetime | None
    overdue_since: datetime | None
    drill_overdue_since: datetime | None
    muted_until: datetime | None
    held: bool  # nothing of it is pruned until somebody has looked at an anomaly
    failure: dict[str, Any] | None

    @property
    def overdue(self) -> bool:
        return self.enabled and self.overdue_since is not None

    @property
    def protected(self) -> bool:
        """A copy that can be restored exists, and is not older than the schedule allows."""
        return self.enabled and self.good_at is not None and self.overdue_since is None

    @property
    def unprotected(self) -> bool:
        return self.enabled and not self.protected

    @property
    def failing(self) -> bool:
        return self.enabled and self.failure is not None

    @property
    def proven(self) -> bool:
        return self.enabled and self.proven_at is not None

    @property
    def due(self) -> bool:
        """Whether its schedule starts a backup within 24 hours."""
        return self.enabled and bool(due_within(self.crons, self.timezone, timezone.now()))

    @property
    def failed_at(self) -> datetime | None:
        if self.failure is None or not self.failure["at"]:
            return None
        return _time(self.failure["at"])


STANDINGS: dict[str, tuple[Any, Callable[[Standing], bool]]] = {
    "protected": (_("protected"), lambda one: one.protected),
    "unprotected": (_("not protected"), lambda one: one.unprotected),
    "bare": (_("no restorable backup"), lambda one: one.enabled and one.good_at is None),
    "failing": (_("failing"), lambda one: one.failing),
    "overdue": (_("overdue"), lambda one: one.overdue),
    "proven": (_("proven by a drill"), lambda one: one.proven),
    "unproven": (_("never proven"), lambda one: one.enabled and not one.proven),
    "drill_overdue": (_("drill overdue"), lambda one: one.enabled and one.drill_overdue_since is not None),
    "due": (_("due within 24 hours"), lambda one: one.due),
    "held": (_("an anomaly to look at"), lambda one: one.held),
    "muted": (_("muted"), lambda one: one.muted_until is not None),
    "disabled": (_("disabled"), lambda one: not one.enabled),
}


def restorable() -> QuerySet[Backup]:
    """Completed backups with a stored copy at a destination that can be read, whose chain has one of each part."""
    completed = Backup.objects.filter(_has_copy(), status=Status.COMPLETED)
    return completed.exclude(Q(type=Backup.Type.INCREMENTAL) & Exists(_broken_before()))


def standings(*, only: Iterable[str] | None = None) -> list[Standing]:
    """By name; `only` some ids.

    The rows are taken as the driver gives them: of 2,000 Databases Django's own reading is half of the time.
    """
    ids = None if only is None else list(only)
    if ids == []:
        return []
    sql, values = _of_all() if ids is None else _written(_rows().filter(pk__in=ids))
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [_standing(*row) for row in cursor.fetchall()]


@lru_cache
def _of_all() -> tuple[str, tuple[Any, ...]]:
    """The same at every look, and long to write."""
    return _written(_rows())


def _written(rows: QuerySet[Any, Any]) -> tuple[str, tuple[Any, ...]]:
    sql, values = rows.query.get_compiler(DEFAULT_DB_ALIAS).as_sql()
    return sql, tuple(values)


def _rows() -> QuerySet[Any, Any]:
    of_database = Backup.objects.filter(database=OuterRef("pk"))
    good = restorable().filter(database=OuterRef("pk")).order_by("-finished_at")
    ended = of_database.filter(status__in=(Status.COMPLETED, Status.FAILED)).order_by("-created_at", "-pk")
    words = JSONObject(
        id="pk", type="type", at="finished_at", message="error_message", hint="error_hint", code="error_code"
    )
    failure = Case(When(status=Status.FAILED, then=words), default=None)
    proven = of_database.filter(proven_at__isnull=False).order_by("-proven_at")
    mutes = Mute.objects.filter(database_id=OuterRef("pk"), until__gt=Now()).order_by("-until")
    policy = Policy.objects.all()
    rows = Database.objects.order_by(
        "name", "pk"
    ).annotate(
        good_at=Subquery(good.values("started_at")[:1]),
        last_proven_at=Subquery(proven.values("proven_at")[:1]),
        failure=Subquery(ended.values(described=failure)[:1]),
        muted_until=Subquery(mutes.values("until")[:1]),
        held=Exists(Anomaly.objects.filter(database=OuterRef("pk"), ended_at=None)),
        overdue_since=F("overdue__since"),
        drill_overdue_since=F("drill_overdue__since"),
        own_schedule=Cast("schedule", TextField()),  # as text: most are alike, and are read once
        drill_schedule=Cast("drill_plan__schedule", TextField()),
        site_schedule=Cast(Subquery(policy.values("schedule")[:1]), TextField()),
        site_paused=Subquery(policy.values("paused")[:1]),
    )
    schedules = ("own_schedule", "site_schedule", "drill_schedule", "site_paused")
    since = ("good_at", "last_proven_at", "overdue_since", "drill_overdue_since", "muted_until")
    return rows.values_list(*FIELDS, *schedules, "held", "failure", *since)


def ids_standing(name: str) -> list[str]:
    """Ids of the Databases that stand so; `name` is one of STANDINGS."""
    stands = STANDINGS[name][1]
    return [one.pk for one in standings() if stands(one)]


def _standing(
    pk: str,
    name: str,
    engine: str,
    enabled: Any,
    built_in: Any,
    zone: str,
    own: str | None,
    site: str | None,
    drill: str | None,
    paused: Any,
    held: Any,
    failure: str | dict[str, Any] | None,
    good: Any,
    proven: Any,
    overdue: Any,
    drill_overdue: Any,
    muted: Any,
) -> Standing:
    backups = () if paused else _crons(site if own == INHERITS else own)
    drills = () if paused else _crons(drill)
    found = json.loads(failure) if isinstance(failure, str) else failure
    return Standing(
        pk=pk,
        name=name,
        engine=engine,
        enabled=bool(enabled),
        built_in=bool(built_in),
        timezone=zone,
        crons=backups,
        drill_crons=drills,
        paused=bool(paused),
        good_at=good and _time(good),
        proven_at=proven and _time(proven),
        overdue_since=overdue and _time(overdue),
        drill_overdue_since=drill_overdue and _time(drill_overdue),
        muted_until=muted and _time(muted),
        held=bool(held),
        failure=found,
    )


def _time(at: str | datetime) -> datetime:
    """SQLite keeps it as text, in UTC, without a zone."""
    found = datetime.fromisoformat(at) if isinstance(at, str) else at
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@lru_cache(maxsize=10_000)
def _crons(schedule: str | None) -> tuple[str, ...]:
    """Of a schedule as its column holds it, in JSON."""
    return tuple(crons(json.loads(schedule))) if schedule else ()


def _has_copy() -> Exists:
    stored = Copy.objects.filter(backup=OuterRef("pk"), state=Copy.State.STORED, destination__fault__in=READABLE)
    return Exists(stored)


def _broken_before() -> QuerySet[Backup]:
    """Parts of an incremental's chain of which nothing can be read: since its full backup, all that was built on."""
    same = Backup.objects.filter(database=OuterRef(OuterRef("database")), type=Backup.Type.FULL, children__isnull=False)
    base = same.filter(created_at__lt=OuterRef(OuterRef("created_at"))).order_by("-created_at").values("created_at")
    parts = Backup.objects.filter(
        database=OuterRef("database"),
        children__isnull=False,
        created_at__lt=OuterRef("created_at"),
        created_at__gte=Subquery(base[:1]),
    )
    return parts.exclude(_has_copy())
