"""Choose the copy to read: the nearest one that is there, in its whole size, at a destination that answers."""

from collections.abc import Callable

from backups.destinations import open_storage
from backups.models import Backup, Copy, Destination
from backups.selectors import readable_copies, stored_copy
from jobs.errors import BackupError


def tell_nobody(message: str) -> None:
    """The default of `say`."""


def choose_copy(
    *,
    backup: Backup,
    destination: Destination | None = None,
    queue: str | None = None,
    say: Callable[[str], None] = tell_nobody,
) -> Copy:
    """The one at `destination`, else the nearest good one to a worker of `queue`; `say` hears which were passed over.

    Asked before anything is written elsewhere. Where there is no choice nothing is asked of the store: whoever reads
    finds out. Raises BackupError: vanished, and what the nearest destination says when none can be read.
    """
    if destination is not None:
        return stored_copy(backup, destination=destination)
    copies = readable_copies(backup, queue=queue)
    if len(copies) < 2:
        return stored_copy(backup)
    faults: list[BackupError] = []
    for copy in copies:
        try:
            require_there(copy, backup)
        except BackupError as fault:
            say(f"the copy at {copy.destination_id} is passed over: {fault}")
            faults.append(fault)
        else:
            return copy
    raise faults[0]


def require_there(copy: Copy, backup: Backup) -> None:
    """Raises BackupError: object_missing, object_truncated, or what the destination says."""
    found = open_storage(copy.destination).stat(copy.key, version_id=copy.version_id)
    if found is None:
        raise BackupError(f"{copy.key} is missing at {copy.destination_id}.", code="object_missing", permanent=True)
    if found.size != backup.size:
        raise BackupError(
            f"{copy.key} has {found.size} bytes, {backup.size} were stored.", code="object_truncated", permanent=True
        )
