"""Hold what rows say against what stores hold; put aside what is gone, so that a good copy takes its place."""

from backups.models import Backup, Copy, Destination
from backups.services.orphans import Findings, find_orphans
from backups.services.quarantine import quarantine
from jobs.errors import BackupError


def reconcile(*, destination: Destination, fix: bool = False) -> tuple[Findings, int]:
    """What was found, and how many copies were put aside. Raises BackupError when the store does not answer."""
    found = find_orphans(destination=destination)
    if not fix:
        return found, 0
    gone = BackupError(
        "The object is not there any more.",
        code="object_missing",
        hint="Somebody removed it past this site, or a lifecycle rule of the bucket did.",
    )
    other = BackupError(
        "The object has another size than was stored.",
        code="artefact_corrupt",
        hint="Somebody replaced it past this site, or the store lost a part of it.",
    )
    aside = sum(_put_aside(destination, key, gone) for key in found.missing)
    return found, aside + sum(_put_aside(destination, key, other) for key in found.differing)


def _put_aside(destination: Destination, key: str, error: BackupError) -> bool:
    """Packages have no further copies: of those it is only told."""
    copy = Copy.objects.filter(destination=destination, key=key, state=Copy.State.STORED).first()
    return copy is not None and quarantine(copy=copy, backup=Backup.objects.get(pk=copy.backup_id), error=error)
