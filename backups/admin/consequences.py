"""What is lost when a backup is deleted, what stays, and why it may not go now."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backups.models import Backup
from backups.services.deletable import deletion_faults
from databases.models import Database
from databases.services.consent import needs_second_person
from jobs.models import Status
from jobs.templatetags.backupsite import size, written


def consequences_of(backup: Backup) -> dict[str, Any]:
    """`refused` is why it cannot go now, empty when it can."""
    fault = deletion_faults([backup]).get(backup.pk, "") if backup.status != Status.DELETING else ""
    return {
        "refused": _("%(backup)s %(fault)s.") % {"backup": backup.pk, "fault": fault} if fault else "",
        "alarms": _alarms(backup),
        "lost": _lost(backup),
        "stays": _stays(backup),
        "asks": needs_second_person() and backup.status != Status.DELETING,
    }


def _others(backup: Backup) -> Any:
    good = Backup.objects.filter(database=backup.database_id, status=Status.COMPLETED).exclude(pk=backup.pk)
    return good.defer("manifest").order_by("-finished_at")


def _alarms(backup: Backup) -> list[str]:
    if backup.status != Status.COMPLETED:
        return []
    others, name = _others(backup), {"name": backup.database_name}
    if not others.exists():
        return [_("This is the only completed backup of %(name)s: nothing could be restored any more.") % name]
    found = []
    if not others.exclude(type=Backup.Type.SELECTIVE).exists() and backup.type != Backup.Type.SELECTIVE:
        found.append(_("All others of %(name)s hold only a part of it.") % name)
    newest = others.first()
    if newest and backup.finished_at and newest.finished_at and newest.finished_at < backup.finished_at:
        at = {"at": written(timezone.localtime(newest.finished_at))}
        found.append(_("It is the newest good one. The newest would then be of %(at)s.") % at)
    if backup.proven_at and not others.filter(proven_at__isnull=False).exists():
        found.append(_("It is the only one of %(name)s that a drill has proven.") % name)
    return found


def _lost(backup: Backup) -> list[str]:
    copies = list(backup.copies.select_related("destination").order_by("pk"))
    lines = [
        _("The copy at %(place)s (%(size)s), with its manifest.")
        % {"place": copy.destination.name, "size": size(backup.size)}
        for copy in copies
    ]
    if len(copies) > 1:
        text = ngettext("%(count)s stored copy in all.", "%(count)s stored copies in all.", len(copies))
        lines.append(text % {"count": len(copies)})
    lines.append(_("Its page, its label and its log."))
    return lines


def _stays(backup: Backup) -> list[str]:
    lines = []
    count = _others(backup).count()
    if count:
        text = ngettext("%(count)s other good backup", "%(count)s other good backups", count) % {"count": count}
        of = {"count": text, "name": backup.database_name}
        lines.append(_("%(count)s of %(name)s, each restorable by itself or with what it builds on.") % of)
    if backup.parent_id:
        lines.append(_("%(parent)s, which it builds on.") % {"parent": backup.parent_id})
    if Database.objects.filter(pk=backup.database_id).exists():
        lines.append(_("The Database, its schedule and its settings."))
    lines.append(_("Restores and drills that read it, as history; packages that hold its artefact, with it."))
    return lines
