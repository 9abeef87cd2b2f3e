"""The way through a restore: where to, what, what it does there, and the id typed again.

Each step is a POST that carries what was chosen before in its body; addresses hold the backup's id and nothing else.
Only the last one writes, and only it asks for a key, so that no secret goes back to the browser.
"""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backups.admin.approvals import asked_for
from backups.admin.restore_fates import FATES, told
from backups.admin.restore_form import RestoreForm
from backups.comparison import counts_of
from backups.models import Backup
from backups.services.ask_approval import ask_to_restore
from backups.services.preview_restore import preview_restore
from backups.services.restore import request_restore
from databases.admin.words import words_of
from databases.models import Database
from databases.selectors import address_of, masking_of
from databases.services.consent import needs_second_person
from jobs.admin.pages import PageAdmin
from jobs.errors import BackupError
from jobs.models import Status
from jobs.roles import Role

STEPS = ("target", "what", "confirm")
LABELS = (gettext_lazy("Where to"), gettext_lazy("What"), gettext_lazy("Look and confirm"))
FIELDS = {
    "target": ("target",),
    "what": ("include", "drop_existing", "delete_extra", "destination"),
    "confirm": ("identity", "confirm"),
}
MOST_TARGETS = 30  # as cards; more are found by typing
MOST_NAMES = 1000  # to tick; the others can be typed
MOST_ROWS = 200  # of a preview


class RestorePages(PageAdmin):
    """Mixed into the admin of backups."""

    def restore_routes(self) -> list[URLPattern]:
        return [
            self.form_route("restore", self.restore, Role.OPERATOR),
            self.post_route("preview-restore", self.preview_restore, Role.OPERATOR),
        ]

    def restore(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        if request.method != "POST":
            return self._step(request, RestoreForm(None, backup=backup), backup, "target")
        data = _with_ticked(request.POST)
        form = RestoreForm(data, backup=backup)
        if (back := data.get("to")) in STEPS:
            return self._step(request, form, backup, str(back), checked=False)
        step = data.get("step", "confirm")
        step = step if step in STEPS else "confirm"
        form.is_valid()
        for earlier in STEPS[: STEPS.index(step) + 1]:
            if earlier != "confirm" and any(name in form.errors for name in FIELDS[earlier]):
                return self._step(request, form, backup, earlier)
        if step != "confirm":
            return self._step(request, form, backup, STEPS[STEPS.index(step) + 1], checked=False)
        return self._begin(request, form, backup)

    def _begin(self, request: HttpRequest, form: RestoreForm, backup: Backup) -> HttpResponse:
        if form.is_valid():
            asked = {**form.values(), "backup": backup, "user": request.user}
            if _needs_another(asked):
                if (approval := form.save_through(lambda: ask_to_restore(**asked))) is not None:
                    return asked_for(request, approval)
            elif (restore := form.save_through(lambda: request_restore(**asked))) is not None:
                names = {"restore": restore.pk, "backup": backup.pk, "target": restore.target_name}
                messages.success(request, _("%(restore)s restores %(backup)s into %(target)s.") % names)
                return redirect("admin:backups_restore_change", restore.pk)
        else:
            form.ask_secrets_again()
        return self._step(request, form, backup, "confirm")

    def _step(
        self, request: HttpRequest, form: RestoreForm, backup: Backup, step: str, *, checked: bool = True
    ) -> HttpResponse:
        """`checked`: whether this step was sent, so that its faults are told."""
        at = STEPS.index(step)
        values = form.data if form.is_bound else QueryDict()
        shown = form if checked else RestoreForm(None, backup=backup, initial=dict(values.items()))
        shown.in_sections()  # dresses the fields
        target = form.cleaned_data.get("target") if form.is_bound and not form.errors.get("target") else None
        return self.render(
            request,
            "backups/restore_page.html",
            form=shown,
            object=backup,
            title=_("Restore %(backup)s") % {"backup": backup.pk},
            back=self.address(backup),
            action_url=self.address(backup, "restore"),
            preview_url=self.address(backup, "preview-restore"),
            step=step,
            before=STEPS[at - 1] if at else "",
            way=[{"label": label, "done": number < at, "now": number == at} for number, label in enumerate(LABELS)],
            fields={name: shown[name] for name in FIELDS[step] if name in shown.fields},
            carried=_carried(form, step),
            words=words_of(backup.engine),
            **_shown(step, backup, values, target),
        )

    def preview_restore(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        """Asks the target what it holds; the page asks for it while it is read."""
        form = RestoreForm(_with_ticked(request.POST), backup=backup)
        form.is_valid()
        asked = form.cleaned_data
        if (target := asked.get("target")) is None:
            return HttpResponse(status=204)
        wanted = {name: asked.get(name) or False for name in ("drop_existing", "delete_extra")}
        error = preview = None
        try:
            preview = preview_restore(backup=backup, target=target, include=asked.get("include") or (), **wanted)
        except BackupError as fault:
            error = fault
        rows, words = preview.rows if preview else [], words_of(backup.engine)
        return self.render(
            request,
            "backups/restore_preview.html",
            object=backup,
            target=target,
            preview=preview,
            error=error,
            tally=told(preview, words) if preview else [],
            rows=[(row, FATES[row.fate]) for row in rows[:MOST_ROWS]],
            count=len(rows),
            words=words,
        )


def _needs_another(asked: dict[str, Any]) -> bool:
    return needs_second_person() and bool(asked.get("drop_existing") or asked.get("delete_extra"))


def _with_ticked(sent: QueryDict) -> QueryDict:
    """Names that were ticked in a list go where names are typed."""
    data = sent.copy()
    if "ticks" in data:
        typed = [line.strip() for line in data.get("include", "").splitlines() if line.strip()]
        data["include"] = "\n".join(dict.fromkeys([*data.getlist("tick"), *typed]))
    return data


def _carried(form: RestoreForm, step: str) -> list[tuple[str, str]]:
    """What the other steps were sent, but secrets and the confirmation."""
    names = [name for other in STEPS if other not in (step, "confirm") for name in FIELDS[other]]
    return [(name, form.data[name]) for name in names if form.is_bound and form.data.get(name)]


def _shown(step: str, backup: Backup, values: Any, target: Database | None) -> dict[str, Any]:
    """What one step shows beside its fields."""
    if step == "target":
        rows = Database.objects.filter(engine=backup.engine)
        count = rows.count()
        cards = sorted(rows, key=lambda row: (row.pk == backup.database_id, row.name)) if count <= MOST_TARGETS else []
        return {
            "cards": [(row, address_of(row), row.pk == backup.database_id) for row in cards],
            "others": [] if cards else rows.order_by("name").values_list("pk", "name"),
            "chosen": values.get("target", ""),
            "candidates": count,
        }
    if step == "what":
        chosen = [line.strip() for line in values.get("include", "").splitlines() if line.strip()]
        names = _names(backup)
        known = {name for name, _rows in names}
        return {
            "target": target,
            "names": [(name, rows, name in chosen) for name, rows in names[:MOST_NAMES]],
            "typed": "\n".join(name for name in chosen if name not in known),
            "more_names": max(0, len(names) - MOST_NAMES),
        }
    drops = bool(values.get("drop_existing") or values.get("delete_extra"))
    return {
        "target": target,
        "target_address": address_of(target) if target else "",
        "last_good": _last_good(target),
        "masking": masking_of(target) if target else [],
        "asks": _needs_another({"drop_existing": drops}),
        "drops": drops,
    }


def _names(backup: Backup) -> list[tuple[str, int | None]]:
    """What a restore may choose from: the manifest's names, of a bucket the prefixes."""
    counts = counts_of(backup)
    named = {name: rows for name, rows in counts.items() if words_of(backup.engine)["kind"] != "s3" or "/" in name}
    return sorted(named.items())


def _last_good(target: Database | None) -> Backup | None:
    """What could bring back what the restore overwrites."""
    if target is None:
        return None
    good = Backup.objects.filter(database=target.pk, status=Status.COMPLETED).exclude(type=Backup.Type.SELECTIVE)
    return good.defer("manifest").order_by("-finished_at").first()
