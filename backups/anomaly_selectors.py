"""Reads about backups that are not like those before them: which are marked, and which Databases they hold."""

from collections.abc import Iterable

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from backups.models import Anomaly, Backup
from databases.models import Database


def marks_holding() -> QuerySet[Anomaly]:
    """Marks that somebody still has to settle, the newest first, each with its backup and Database."""
    return (
        Anomaly.objects.filter(ended_at=None, database__in=Database.objects.values("pk"))
        .select_related("backup", "database")
        .defer("backup__manifest")
    )


def databases_held() -> QuerySet[Database]:
    """Databases of which nothing is pruned until somebody has looked at a backup."""
    return Database.objects.filter(Exists(Anomaly.objects.filter(database=OuterRef("pk"), ended_at=None)))


def held_by(database_ids: Iterable[str | None]) -> dict[str, str]:
    """The newest backup that holds each of these Databases, by the Database's id; one query."""
    marks = Anomaly.objects.filter(database__in=[pk for pk in database_ids if pk], ended_at=None)
    pairs = marks.order_by("found_at", "pk").values_list("database_id", "backup_id")
    return {str(database): backup for database, backup in pairs}


def with_marks(backups: QuerySet[Backup]) -> QuerySet[Backup]:
    """Each with `mark_state`, None where it is not marked, and `mark_holds`; no query more."""
    return backups.annotate(
        mark_state=F("anomaly__state"),
        mark_holds=Q(anomaly__isnull=False, anomaly__ended_at__isnull=True),
    )


def mark_of(backup_id: str) -> Anomaly | None:
    return Anomaly.objects.filter(pk=backup_id).first()
