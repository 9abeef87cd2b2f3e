"""What the page of a backup shows beside its row: counts, the one before it, copies, and the way without Backupsite."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from backups.anomaly_levels import Measure
from backups.anomaly_selectors import mark_of
from backups.by_hand import restore_by_hand
from backups.comparison import Comparison, Item, Manifest, previous_of
from backups.models import Anomaly, Backup, Copy
from jobs.models import Status

MOST_ITEMS = 100  # of the manifest at once; the others are found by their names
MOST_NAMES = 8  # of what is new or gone, in a line

PLACES = (
    ("key.txt", _("a file that holds the age secret key")),
    ("TARGET", _("an empty database, made with createdb -T template0 TARGET")),
    ("target.yaml", _('a file with the line uri: "mongodb://USER:PASSWORD@HOST:27017/?authSource=admin"')),
    ("COLLECTION", _("one collection of the service at a time: once for each")),
    ("RESTORE_URL", _("where the service takes the records of that collection")),
)


def manifest_shown(manifest: Manifest, odd: set[str], find: str) -> dict[str, Any]:
    """The rows of the table, bounded; what is odd is among them even where it is small."""
    text = find.strip()[:200]
    rows: list[Item] = manifest.found(text) if text else [*manifest.items, *manifest.gone]
    first = [item for item in rows if item.name in odd]
    others = [item for item in rows if item.name not in odd]
    shown = (first + others)[:MOST_ITEMS]
    return {"items": shown, "found": len(rows), "find": text, "odd": odd, "compares": bool(manifest.previous)}


def compared(backup: Backup) -> dict[str, Any]:
    """The manifest, and the comparison with the one before where there is one."""
    previous = previous_of(backup) if backup.status in (Status.COMPLETED, Status.EXPIRED, Status.DELETING) else None
    manifest = Manifest(backup, previous)
    return {
        "manifest": manifest,
        "comparison": Comparison(backup, previous, manifest) if previous else None,
        "new_names": [item.name for item in manifest.new[:MOST_NAMES]],
        "gone_names": [item.name for item in manifest.gone[:MOST_NAMES]],
    }


def marks_of(backup: Backup) -> dict[str, Any]:
    """What was found unlike the backups before it and nobody said is right: names of items, and of figures."""
    mark = mark_of(backup.pk)
    findings = mark.findings if mark and mark.state in (Anomaly.State.OPEN, Anomaly.State.WRONG) else []
    return {
        "odd_items": {one["name"] for one in findings if one["measure"] == Measure.ITEM},
        "odd_figures": {one["measure"] for one in findings if one["measure"] != Measure.ITEM},
    }


def by_hand_shown(backup: Backup, copies: Sequence[Copy]) -> dict[str, Any]:
    """The commands for the first good copy, and what stands for something in them."""
    stored = next((copy for copy in copies if copy.state == Copy.State.STORED), None)
    if stored is None or backup.status != Status.COMPLETED:
        return {"by_hand": []}
    lines = restore_by_hand(backup=backup, destination=stored.destination, key=stored.key)
    text = "\n".join(lines)
    return {
        "by_hand": lines,
        "by_hand_places": [(name, words) for name, words in PLACES if name in text],
        "by_hand_from": stored.destination,
    }


def copy_rows(backup: Backup, copies: Sequence[Copy]) -> list[dict[str, Any]]:
    """Each copy with what is known of it: read again since it was written, only then, or not in order."""
    rows = []
    for copy in copies:
        again = bool(copy.verified_at and backup.finished_at and copy.verified_at > backup.finished_at)
        rows.append({"copy": copy, "again": again, "good": copy.state == Copy.State.STORED and not copy.error})
    return rows
