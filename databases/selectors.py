"""Reads about Databases."""

from datetime import datetime
from zoneinfo import ZoneInfo

from databases.engines import registry
from databases.engines.base import Connection
from databases.models import Database, Policy
from databases.schedule import INHERIT, crons, next_runs, schedule_fault, sentence

LIMITS = ("retention_days", "max_backups")
TIERS = ("keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")


def site_policy() -> Policy:
    """The row that Databases inherit from; as it would be made where nobody has saved one yet."""
    return Policy.objects.first() or Policy()


def schedule_of(database: Database, policy: Policy) -> list[str]:
    """The crons that apply; none when the Database runs on demand only."""
    return crons(policy.schedule if database.schedule == INHERIT else database.schedule)


def can_be_followed(database: Database, policy: Policy) -> bool:
    """Not so for a row that was edited by hand, or that names a timezone that is no more; `doctor` tells of it."""
    try:
        ZoneInfo(database.timezone)
    except (LookupError, ValueError):
        return False
    return schedule_fault(policy.schedule if database.schedule == INHERIT else database.schedule) is None


def sentence_of(database: Database, policy: Policy) -> str:
    """The schedule that applies in plain English; empty for none, and for one that cannot be followed."""
    return sentence(schedule_of(database, policy)) if can_be_followed(database, policy) else ""


def next_runs_of(database: Database, policy: Policy, *, after: datetime, count: int = 5) -> list[datetime]:
    """When schedules are due next, in UTC; none while it is disabled or schedules are paused."""
    if policy.paused or not database.enabled or not can_be_followed(database, policy):
        return []
    return next_runs(schedule_of(database, policy), database.timezone, after=after, count=count)


def retention_of(database: Database, policy: Policy) -> dict[str, int]:
    """The limits and tiers that apply, by field; 0 is off."""
    own = {name: getattr(database, name) for name in (*LIMITS, *TIERS)}
    return {name: getattr(policy, name) if value is None else value for name, value in own.items()}


def sensitivity_of(database: Database, policy: Policy) -> str:
    """From how large a change on its backups are marked; `off` for none."""
    return policy.anomalies if database.anomalies == INHERIT else database.anomalies


def address_of(database: Database) -> str:
    """Where the Database is, short and without a secret; opens none."""
    connection = Connection(
        host=database.host,
        port=database.port,
        username=database.username,
        database_name=database.database_name,
    )
    return registry.engine_class(database.engine).address(connection, database.options)


def masking_of(database: Database) -> list[dict[str, str]]:
    """Its rules as the engines take them."""
    names = ("item", "column", "method", "value")
    return [dict(zip(names, rule, strict=True)) for rule in database.masking_rules.values_list(*names)]
