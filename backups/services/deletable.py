"""Whether backups can be deleted now, and why not."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Max

from backups.models import Backup, Copy
from backups.selectors import readers_by_backup
from backups.services.hold import held_now, until_words
from jobs.models import OPEN, Status


def deletion_faults(backups: Sequence[Backup]) -> dict[str, str]:
    """Why each one that cannot be deleted stays, by id, as the end of a sentence. Asked under their locks.

    A constant number of queries, however many they are.
    """
    ids = [backup.pk for backup in backups]
    readers, children, held = readers_by_backup(ids), _children(ids), _held(ids)
    found = {backup.pk: _own_fault(backup) for backup in backups}
    for pk in ids:
        if pk in children:
            found[pk] = found[pk] or f"is what {children[pk]} builds on; delete that first"
        if pk in readers:
            found[pk] = found[pk] or f"is being read by {', '.join(readers[pk])}"
        if pk in held:
            found[pk] = found[pk] or f"cannot be deleted: {until_words(held[pk])}"
    return {pk: fault for pk, fault in found.items() if fault}


def _own_fault(backup: Backup) -> str:
    if backup.status in OPEN:
        return f"is {backup.status}; cancel it first"
    return "is locked" if backup.locked else ""


def _children(ids: list[str]) -> dict[str, str]:
    """One backup that builds on each."""
    children = Backup.objects.filter(parent__in=ids, status__in=[*OPEN, Status.COMPLETED]).order_by("-pk")
    return {str(parent): pk for parent, pk in children.values_list("parent_id", "pk")}


def _held(ids: list[str]) -> dict[str, datetime]:
    copies = Copy.objects.filter(held_now(), backup__in=ids).order_by()
    return dict(copies.values("backup_id").annotate(last=Max("retain_until")).values_list("backup_id", "last"))
