"""The health of the site itself, as chips: what it needs to do its work, and how old each sign of life is."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import CharField, Value
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backups.models import Destination
from backups.services.recovery_kit import kits_taken
from backupsite.health.broker import broker_answers
from backupsite.health.selectors import SEEN_WITHIN
from jobs.errors import BackupError
from jobs.models import Process
from jobs.roles import Role
from jobs.templatetags.backupsite import distance, size

KIT = "kit"  # beside the roles of processes
LITTLE, LOW = 5 << 30, 1 << 30  # bytes that are free where the site keeps its own rows


@dataclass(frozen=True)
class Chip:
    """`name` is what it is about; `tone` one of good, warn, bad, quiet."""

    name: str
    tone: str
    icon: str
    text: str
    detail: str
    href: str = ""


def health(*, role: Role, destinations: Iterable[Destination]) -> list[Chip]:
    signs, opened = _signs(destinations)
    return [*_processes(signs), _broker(), _disk(), _keys(role, signs.get(KIT, []), opened=opened)]


def _signs(destinations: Iterable[Destination]) -> tuple[dict[str, list[datetime]], bool]:
    """When processes were seen, by role, and kits with the keys as they are now taken; whether these keys open all.

    In one query: the page has few to spare.
    """
    found = Process.objects.order_by().values_list("role", "seen_at")
    try:
        taken, opened = kits_taken(destinations).order_by(), True
    except BackupError:
        opened = False
    else:
        found = found.union(taken.values_list(Value(KIT, output_field=CharField()), "at"), all=True)
    signs: dict[str, list[datetime]] = {}
    for name, at in found:
        signs.setdefault(name, []).append(at)
    return signs, opened


def _processes(seen: dict[str, list[datetime]]) -> list[Chip]:
    since, chips = timezone.now() - SEEN_WITHIN, []
    for name in ("worker", "beat", "sweeper"):
        times = seen.get(name, [])
        alive = sum(at >= since for at in times)
        tone, icon = ("good", "check_circle") if alive else ("bad", "error")
        text = {
            "worker": ngettext("Worker", "%(count)s workers", max(alive, 1)) % {"count": alive},
            "beat": _("Beat"),
            "sweeper": _("Sweeper"),
        }[name]
        href = f"{reverse('admin:jobs_process_changelist')}?role={name}"
        chips.append(Chip(name, tone, icon, text, distance(max(times, default=None)), href))
    return chips


def _broker() -> Chip:
    answer = broker_answers()
    tone, icon = {True: ("good", "check_circle"), False: ("bad", "error"), None: ("quiet", "pending")}[answer.ok]
    detail = _("being asked") if answer.at is None else distance(answer.at)
    text = _("Broker does not answer") if answer.ok is False else _("Broker")
    return Chip("broker", tone, icon, text, detail, reverse("admin:jobs_process_changelist"))


def _disk() -> Chip:
    free = shutil.disk_usage(settings.DATA_DIR).free
    tone, icon = ("bad", "error") if free < LOW else ("warn", "warning") if free < LITTLE else ("good", "check_circle")
    text = _("Disk: %(size)s free") % {"size": size(free)}
    return Chip("disk", tone, icon, text, _("just now"), reverse("admin:backups_destination_changelist"))


def _keys(role: Role, taken: list[datetime], *, opened: bool) -> Chip:
    """Whether somebody keeps the keys outside the site, as they are now."""
    href = reverse("admin:backups_kitdownload_changelist") if role >= Role.ADMIN else ""
    if not opened:
        return Chip("keys", "bad", "error", _("Keys: a stored secret does not open"), _("just now"), href)
    if not taken:
        return Chip("keys", "warn", "warning", _("Keys: no recovery kit was taken"), _("as they are now"), href)
    return Chip("keys", "good", "check_circle", _("Keys: kit taken"), distance(max(taken)), href)
