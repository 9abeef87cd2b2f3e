"""What follows the end of a verification: its key is erased, it is counted, and the next scheduled one is asked for."""

from django.utils import timezone

from backups.models import Copy, Verification
from backups.services.quarantine import DAMAGED
from backups.services.verify_due import verify_due
from jobs.models import OPEN, Status
from jobs.services.forget import forget_traces
from jobs.services.tally import add


def ended(verification: Verification) -> None:
    if verification.status in OPEN:
        return
    Verification.objects.filter(pk=verification.pk).update(identity=None)
    damaged = verification.error_code in DAMAGED
    add(
        "backupsite_verifications",
        trigger=verification.trigger,
        outcome="damaged" if damaged else verification.status,
    )
    if verification.trigger != Verification.Trigger.SCHEDULE:
        return
    if verification.status == Status.COMPLETED:
        _forget_earlier(verification)
    else:
        read = Copy.objects.filter(backup=verification.backup_id, destination=verification.destination_id)
        read.update(tried_at=timezone.now())
    verify_due()


def _forget_earlier(verification: Verification) -> None:
    """The newest one of a copy tells all: with many backups the others would fill the table."""
    earlier = Verification.objects.filter(
        backup=verification.backup_id,
        destination=verification.destination_id,
        trigger=Verification.Trigger.SCHEDULE,
        status=Status.COMPLETED,
    ).exclude(pk=verification.pk)
    ids = list(earlier.values_list("pk", flat=True))
    forget_traces(kind=Verification.kind, ids=ids)
    earlier.filter(pk__in=ids).delete()
