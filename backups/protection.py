"""The 3-2-1 view: how many copies of a Database there are, on how many media, and whether one lies at another place.

Three copies of the data (the Database itself is one), on two different media, one of them off-site.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.db.models import OuterRef, Subquery
from django.utils.translation import gettext

from backups.models import Backup, Copy, DatabaseDestination, Destination
from databases.models import Database
from jobs.models import Status

COPIES, MEDIA = 2, 2  # of backups; the Database itself is the third


@dataclass
class Protection:
    """Of the newest completed backup: its good copies, one for each destination. `placements` are all that is named."""

    database: Database
    backup_id: str | None = None
    copies: list[Copy] = field(default_factory=list)
    placements: list[DatabaseDestination] = field(default_factory=list)

    @property
    def media(self) -> list[str]:
        return sorted({medium_of(copy.destination) for copy in self.copies})

    @property
    def off_site(self) -> bool:
        return any(copy.destination.off_site for copy in self.copies)

    @property
    def lacking(self) -> int:
        """Copies that are named and not there yet, of all its backups."""
        return sum(placement.lacking for placement in self.placements)

    @property
    def missing(self) -> list[str]:
        """What 3-2-1 asks for and is not there, in words; empty when all is."""
        if self.backup_id is None:
            return [gettext("a completed backup")]
        copies = {"wanted": COPIES, "found": len(self.copies)}
        media = {"wanted": MEDIA, "found": len(self.media)}
        wanted = (
            (
                len(self.copies) >= COPIES,
                gettext("%(wanted)s good copies of the backup (there are %(found)s)") % copies,
            ),
            (len(self.media) >= MEDIA, gettext("%(wanted)s different media (there are %(found)s)") % media),
            (self.off_site, gettext("a copy off-site")),
        )
        return [words for met, words in wanted if not met]

    @property
    def meets(self) -> bool:
        return not self.missing


def medium_of(destination: Destination) -> str:
    """What fails together: the disk of one host, or one S3 service."""
    if destination.kind == Destination.Kind.LOCAL:
        return gettext("disk of %(queue)s") % {"queue": destination.queue} if destination.queue else gettext("disk")
    return gettext("S3 at %(store)s") % {"store": urlsplit(destination.endpoint_url).netloc or "AWS"}


def protections(databases: Iterable[Database]) -> list[Protection]:
    """In the given order, in a constant number of queries."""
    found = {database.pk: Protection(database) for database in databases}
    good = Backup.objects.filter(database=OuterRef("pk"), status=Status.COMPLETED).order_by("-finished_at")
    newest = Database.objects.filter(pk__in=found).annotate(good=Subquery(good.values("pk")[:1]))
    owners = {}
    for pk, backup in newest.values_list("pk", "good"):
        found[pk].backup_id = backup
        owners[backup] = found[pk]
    stored = Copy.objects.filter(backup__in=[pk for pk in owners if pk], state=Copy.State.STORED)
    for copy in stored.select_related("destination").order_by("pk"):
        known = owners[copy.backup_id].copies
        if all(copy.destination_id != other.destination_id for other in known):
            known.append(copy)
    named = DatabaseDestination.objects.filter(database__in=found).select_related("destination").order_by("position")
    for placement in named:
        found[placement.database_id].placements.append(placement)
    return list(found.values())
