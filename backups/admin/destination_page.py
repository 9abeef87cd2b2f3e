"""What the page of a destination shows: its state, how full it is and how it grows, what is on it, what holds it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Max, Min, Q, Sum
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, pgettext

from backups.models import Copy, DatabaseDestination, Destination
from backups.registry import others_stored
from backups.services.look import FULL
from jobs.templatetags.backupsite import words
from jobs.templatetags.parts import state_badge

HISTORY = timedelta(days=30)
MOST = 20
# What looks at destinations find, named for the translators as the filter `words` writes it.
FAULTS = (
    gettext_noop("destination bucket missing"),
    gettext_noop("destination corrupts"),
    gettext_noop("destination credentials"),
    gettext_noop("destination deleted"),
    gettext_noop("destination endpoint"),
    gettext_noop("destination error"),
    gettext_noop("destination full"),
    gettext_noop("destination inconsistent"),
    gettext_noop("destination marker foreign"),
    gettext_noop("destination marker missing"),
    gettext_noop("destination missing"),
    gettext_noop("destination tls"),
    gettext_noop("missing key"),
)


def state_of(destination: Destination) -> SafeString:
    """As the last look found it, by colour, shape and word."""
    if destination.looked_at is None:
        return state_badge("quiet", "help", _("not looked at yet"))
    if destination.fault == FULL:
        return state_badge("bad", "disc_full", pgettext("a destination", "full"))
    if destination.fault:
        return state_badge("bad", "error", words(destination.fault))
    return state_badge("good", "check_circle", _("in order"))


@dataclass(frozen=True)
class Used:
    """`percent` is of what it could hold of ours; None where the store has no figure of what is free."""

    size: int
    copies: int
    free: int | None

    @property
    def percent(self) -> int | None:
        if self.free is None:
            return None
        return round(100 * self.size / (self.size + self.free)) if self.size + self.free else 100

    @property
    def tone(self) -> str:
        if self.percent is None:
            return "quiet"
        return "bad" if self.free == 0 else "warn" if self.percent >= 90 else "good"


def used_of(destination: Any) -> Used:
    """As the sweeper counted it; counted here where it has not done so yet."""
    size, copies = destination.used_bytes, destination.used_copies
    if size is None:
        stored = destination.copies.filter(state=Copy.State.STORED)
        found, others = stored.aggregate(size=Sum("backup__size"), copies=Count("pk")), others_stored()
        size = (found["size"] or 0) + others[destination.pk, "bytes"]
        copies = found["copies"] + others[destination.pk, "objects"]
    return Used(size, copies, destination.free_bytes)


def growth_of(destination: Destination) -> list[int]:
    """Stored bytes by day, the oldest first; empty where there are not two days yet."""
    since = timezone.now().date() - HISTORY
    days = list(destination.usage.filter(day__gte=since).order_by("day").values_list("stored_bytes", flat=True))
    return days if len(days) > 1 else []


def what_is_on(destination: Destination) -> list[dict[str, Any]]:
    """By Database, the largest first; also of Databases that were deleted."""
    stored = destination.copies.filter(state=Copy.State.STORED).order_by()
    rows = stored.values("backup__database").annotate(
        name=Max("backup__database_name"),
        copies=Count("pk"),
        size=Sum("backup__size"),
        oldest=Min("backup__finished_at"),
        newest=Max("backup__finished_at"),
    )
    return [dict(row) for row in rows.order_by("-size", "name")[:MOST]]


def held_of(destination: Destination) -> dict[str, Any]:
    """What keeps copies here, and how long ago the longest unread one was read."""
    held = Q(retain_until__gt=timezone.now())
    return destination.copies.filter(state=Copy.State.STORED).aggregate(
        by_store=Count("pk", filter=held),
        until=Max("retain_until", filter=held),
        locked=Count("pk", filter=Q(locked=True)),
        unread=Min("verified_at", filter=~Q(readback=Copy.Readback.CHECKSUM)),
    )


def named_of(destination: Destination) -> list[DatabaseDestination]:
    return list(destination.placements.select_related("database").order_by("position", "database__name"))
