"""One sentence that says whether everything is safe, and one more for each thing that keeps it from being so."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backups.standing import Standing
from backupsite.dashboard.health import Chip

ORDER = ("good", "warn", "bad")


@dataclass(frozen=True)
class Reason:
    text: str
    href: str
    tone: str = "warn"


@dataclass(frozen=True)
class Verdict:
    tone: str
    text: str
    reasons: list[Reason]

    @property
    def icon(self) -> str:
        return {"good": "verified_user", "warn": "gpp_maybe", "bad": "gpp_bad"}[self.tone]


def verdict(standings: Sequence[Standing], *, paused: bool, shut: int, health: Sequence[Chip]) -> Verdict:
    """`shut` destinations are full or cannot be used."""
    enabled = [one for one in standings if one.enabled]
    bare = [one for one in enabled if one.unprotected]
    reasons = [*_about_databases(enabled, paused=paused), *_about_destinations(shut), *_about_the_site(health)]
    if not enabled:
        return Verdict("bad", _("No database is protected: none is enabled."), reasons)
    if not bare:
        if all(one.proven for one in enabled):
            text = ngettext(
                "The one database is protected. A drill has proven it.",
                "All %(count)s databases are protected. Drills have proven each of them.",
                len(enabled),
            )
        else:
            text = ngettext("The one database is protected.", "All %(count)s databases are protected.", len(enabled))
        text %= {"count": intcomma(len(enabled))}
        worst = max((reason.tone for reason in reasons), key=ORDER.index, default="good")
        return Verdict(worst, text, reasons)
    text = ngettext(
        "%(count)s of %(all)s databases is not protected.",
        "%(count)s of %(all)s databases are not protected.",
        len(bare),
    ) % {"count": intcomma(len(bare)), "all": intcomma(len(enabled))}
    return Verdict("bad", text, reasons)


def databases_standing(name: str) -> str:
    """The address of the list of the Databases that stand so."""
    return f"{reverse('admin:databases_database_changelist')}?standing={name}"


def _about_databases(enabled: Sequence[Standing], *, paused: bool) -> list[Reason]:
    without = sum(one.good_at is None for one in enabled)
    overdue = sum(one.overdue for one in enabled)
    failing = sum(one.failing for one in enabled)
    held = sum(one.held for one in enabled)
    told = []
    if without:
        text = ngettext(
            "%(count)s has no backup that can be restored", "%(count)s have no backup that can be restored", without
        )
        told.append(Reason(text % {"count": intcomma(without)}, databases_standing("bare"), "bad"))
    if overdue:
        text = ngettext("%(count)s is overdue", "%(count)s are overdue", overdue)
        told.append(Reason(text % {"count": intcomma(overdue)}, databases_standing("overdue"), "bad"))
    if failing:
        text = ngettext("the newest backup of %(count)s failed", "the newest backups of %(count)s failed", failing)
        told.append(Reason(text % {"count": intcomma(failing)}, databases_standing("failing")))
    if held:
        text = ngettext("%(count)s has an anomaly to look at", "%(count)s have anomalies to look at", held)
        told.append(Reason(text % {"count": intcomma(held)}, databases_standing("held")))
    if paused:
        text = _("schedules are paused: nothing is backed up by itself")
        told.append(Reason(text, reverse("admin:databases_policy_changelist"), "bad"))
    return told


def _about_destinations(shut: int) -> list[Reason]:
    if not shut:
        return []
    text = ngettext(
        "%(count)s destination is full or cannot be used", "%(count)s destinations are full or cannot be used", shut
    )
    return [Reason(text % {"count": intcomma(shut)}, reverse("admin:backups_destination_changelist"), "bad")]


def _about_the_site(health: Sequence[Chip]) -> list[Reason]:
    words = {
        "worker": _("no worker is alive: backups wait"),
        "sweeper": _("no sweeper is alive: what is due is not started"),
        "beat": _("beat is not alive: the sweeper starts what is due, a little later"),
        "broker": _("the broker does not answer: backups begin late"),
        "disk": _("the site's own disk is nearly full"),
        "keys": _("nobody keeps the keys as they are now outside this site"),
    }
    return [Reason(words[chip.name], chip.href, chip.tone) for chip in health if chip.tone in ("warn", "bad")]
