"""Mark backups that retention takes. Their objects are removed next, and their rows stay as history."""

from collections.abc import Sequence
from itertools import groupby

from django.db import transaction

from backups.anomaly_selectors import held_by
from backups.models import Backup, Copy, CopyJob
from backups.retention import Verdict
from backups.services.deletable import deletion_faults
from backups.services.request_copy import cancel_waiting
from jobs.models import LogLine, Status

AT_ONCE = 200  # rows that are locked together


def expire(verdicts: Sequence[Verdict]) -> list[str]:
    """Those that really go, of one Database or of many: what was locked, read or built on meanwhile stays.

    The deepest of each chain first: what builds on a backup goes before it.
    """
    deepest = sorted((verdict for verdict in verdicts if verdict.goes), key=lambda one: -one.depth)
    gone: list[str] = []
    for _, level in groupby(deepest, key=lambda one: one.depth):
        same = list(level)
        for start in range(0, len(same), AT_ONCE):
            gone += _expire_together(same[start : start + AT_ONCE])
    return gone


def _expire_together(verdicts: Sequence[Verdict]) -> list[str]:
    with transaction.atomic():
        ids = [verdict.fact.id for verdict in verdicts]
        rows = Backup.objects.select_for_update().filter(pk__in=ids, status=Status.COMPLETED).order_by("pk")
        found = {row.pk: row for row in rows.defer("manifest")}
        stay = deletion_faults(list(found.values()))
        # Somebody may have deleted the one that lets it go.
        newest = Backup.objects.filter(pk__in={one.newest for one in verdicts}, status=Status.COMPLETED)
        there = set(newest.values_list("pk", flat=True))
        held = held_by({row.database_id for row in found.values()})  # a backup was marked meanwhile
        stay |= {pk: held[row.database_id] for pk, row in found.items() if row.database_id in held}
        going = [one for one in verdicts if one.fact.id in found and one.fact.id not in stay and one.newest in there]
        gone = [verdict.fact.id for verdict in going]
        Copy.objects.filter(backup__in=gone).update(state=Copy.State.DELETING)
        cancel_waiting(CopyJob.objects.filter(backup__in=gone))
        Backup.objects.filter(pk__in=gone).update(status=Status.DELETING, expiring=True)
        LogLine.objects.bulk_create(
            LogLine(
                job_kind=Backup.kind,
                job_id=verdict.fact.id,
                attempt=found[verdict.fact.id].attempt,
                message=f"expires: {', '.join(verdict.passed)}",
            )
            for verdict in going
        )
    return gone
