"""How large the newest backups of Databases are: what the small lines in lists are drawn from."""

from collections.abc import Iterable

from django.db.models import OuterRef, Subquery

from backups.models import Backup
from databases.models import Database
from jobs.models import Status

POINTS = 14


def recent_sizes(ids: Iterable[str], *, count: int = POINTS) -> dict[str, list[int]]:
    """Stored bytes of up to `count` completed backups of each, the oldest first; in one query.

    A subquery a point, as each is one look into the index: ranking all rows of a long history is not.
    """
    done = Backup.objects.filter(database=OuterRef("pk"), status=Status.COMPLETED, size__isnull=False)
    newest = done.exclude(type=Backup.Type.SELECTIVE).order_by("-finished_at").values("size")
    points = {f"size_{number}": Subquery(newest[number : number + 1]) for number in range(count)}
    rows = Database.objects.filter(pk__in=list(ids)).order_by().annotate(**points).values_list("pk", *points)
    return {pk: [size for size in sizes[::-1] if size is not None] for pk, *sizes in rows}
