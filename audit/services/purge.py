"""Let go of entries that are older than the site keeps them; that it was done is an entry itself."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.models import Entry, Purge
from audit.services.record import record


def purge_entries() -> int:
    """The sweeper's step. Returns how many went. Entries of the last day go together, so that a day makes one row."""
    before = (timezone.now() - timedelta(days=settings.BACKUPSITE_KEEP_AUDIT_DAYS)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    old = Entry.objects.filter(at__lt=before)
    if not old.exists():
        return 0
    with transaction.atomic():
        Purge.objects.all().delete()
        Purge.objects.create(before=before)
        count = int(old._raw_delete(old.db))
        record(
            action="audit.purge",
            via=Entry.Via.SITE,
            outcome=Entry.Outcome.DONE,
            detail=f"{count} entries of before {before:%Y-%m-%d}",
        )
    return count
