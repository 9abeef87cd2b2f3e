"""What the page of a backup shows and does where it is unlike those before it."""

from typing import Any

from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from backups.anomaly_levels import Change, Measure
from backups.anomaly_selectors import mark_of
from backups.models import Anomaly, Backup
from backups.services.look_at_anomaly import good_after, say_good_again, say_right, say_wrong
from jobs.admin.pages import PageAdmin, tell
from jobs.roles import Role
from jobs.templatetags.backupsite import size

NAMES = {
    Measure.SIZE: gettext_lazy("Plain size"),
    Measure.STORED: gettext_lazy("Stored size"),
    Measure.TOTAL: gettext_lazy("Counted in all"),
    Measure.STATE: gettext_lazy("Objects in all"),
    Measure.DELETED: gettext_lazy("Deleted"),
}
CHANGES = {
    Change.FALL: ("trending_down", pgettext_lazy("a figure", "fell")),
    Change.JUMP: ("trending_up", pgettext_lazy("a figure", "jumped")),
    Change.EMPTIED: ("hide_source", pgettext_lazy("a table", "emptied")),
    Change.GONE: ("remove_circle", pgettext_lazy("a table", "gone")),
}
SAY = {"right": say_right, "wrong": say_wrong, "good_again": say_good_again}


class AnomalyOfBackupPages(PageAdmin):
    """Mixed into the admin of backups; `templates/backups/anomaly.html` shows what `anomaly_context` says."""

    def anomaly_routes(self) -> list[URLPattern]:
        return [self.post_route("anomaly", self.say, Role.OPERATOR)]

    def anomaly_context(self, backup: Backup) -> dict[str, Any]:
        mark = mark_of(backup.pk)
        if mark is None:
            return {"mark": None}
        return {
            "mark": mark,
            "mark_rows": [finding_row(one) for one in mark.findings],
            "mark_good": good_after(mark) if mark.state == Anomaly.State.WRONG and mark.holds else None,
            "mark_url": self.address(backup, "anomaly"),
        }

    def say(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        verdict, note = request.POST.get("verdict", ""), request.POST.get("note", "").strip()
        done = {
            "right": _("%(backup)s is right: backups like it are usual from now on."),
            "wrong": _("%(backup)s is wrong: nothing of this Database is pruned until a good one has come."),
            "good_again": _("Backups are good again."),
        }
        if verdict not in SAY:
            messages.error(request, _("Say whether it is right or wrong."))
        elif tell(
            request,
            lambda: SAY[verdict](backup=backup, note=note, user=request.user),
            done[verdict] % {"backup": backup.pk},
        ):
            self.log_change(request, backup, [{"changed": {"fields": [f"anomaly: {verdict}"]}}])
        return redirect(self.address(backup))


def mark_icon(state: str | None, *, holds: bool) -> SafeString | str:
    """For a row of a list: the sign of a backup that is unlike those before it, while it holds its Database."""
    if not holds or not state:
        return ""
    icon = "dangerous" if state == Anomaly.State.WRONG else "troubleshoot"
    title = _("unlike those before it: %(state)s") % {"state": Anomaly.State(state).label}
    return format_html(
        '<span class="material-symbols-outlined bks-mark bks-mark-{}" role="img" title="{}" aria-label="{}">{}</span>',
        state,
        title,
        title,
        icon,
    )


def finding_row(finding: dict[str, Any]) -> dict[str, Any]:
    """One finding as it is read."""
    measure, change = Measure(finding["measure"]), Change(finding["change"])
    write = size if measure in (Measure.SIZE, Measure.STORED) else intcomma
    icon, word = CHANGES[change]
    return {
        "name": finding["name"] or NAMES[measure],
        "is_item": bool(finding["name"]),
        "change": change.value,
        "icon": icon,
        "word": word,
        **{name: write(finding[name]) for name in ("found", "previous", "low", "high")},
    }
