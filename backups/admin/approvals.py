"""What waits for a second person: what it will do, who asked, and the two buttons. Rows stay as they were written."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from backups.models import Approval
from backups.services.decide_approval import approve, refuse, withdraw
from jobs.admin.pages import PageAdmin, tell
from jobs.errors import BackupError
from jobs.roles import Role
from jobs.templatetags.backupsite import distance, moment, two_lines
from jobs.templatetags.parts import state_badge

MOST_NOTE = 1000
State = Approval.State
BADGES = {
    State.WAITING: ("warn", "hourglass_empty"),
    State.APPROVED: ("good", "check_circle"),
    State.REFUSED: ("bad", "block"),
    State.WITHDRAWN: ("quiet", "undo"),
    State.EXPIRED: ("quiet", "timer_off"),
    State.FAILED: ("bad", "error"),
}


@admin.register(Approval)
class ApprovalAdmin(PageAdmin):
    page_template = "backups/approval.html"
    list_display = ("what", "status", "asked_by", "asked", "decided")
    list_filter = (("state", ChoicesCheckboxFilter), ("action", ChoicesCheckboxFilter))
    list_filter_submit = True
    search_fields = ("id", "subject_id", "target_id", "requested_by_name", "decided_by_name")
    search_help_text = gettext_lazy("Search by id, backup, Database or person")
    empty_hint = gettext_lazy("What needs a second person waits here.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        rows: QuerySet[Approval] = super().get_queryset(request)
        return rows.defer("parameters")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=gettext_lazy("What"), ordering="action")
    def what(self, approval: Approval) -> SafeString:
        return two_lines(approval.get_action_display(), approval.summary)

    @display(description=gettext_lazy("Status"), ordering="state")
    def status(self, approval: Approval) -> SafeString:
        return approval_badge(approval)

    @display(description=gettext_lazy("Asked by"), ordering="requested_by_name")
    def asked_by(self, approval: Approval) -> str:
        return approval.requested_by_name

    @display(description=gettext_lazy("Asked for"), ordering="requested_at")
    def asked(self, approval: Approval) -> SafeString:
        return two_lines(moment(approval.requested_at), distance(approval.requested_at))

    @display(description=gettext_lazy("Decided by"))
    def decided(self, approval: Approval) -> str:
        return approval.decided_by_name

    # The page

    def page_routes(self) -> list[URLPattern]:
        return [
            self.post_route("approve", self.approve, Role.OPERATOR),
            self.post_route("refuse", self.refuse, Role.OPERATOR),
            self.post_route("withdraw", self.withdraw, Role.OPERATOR),
        ]

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        return {
            "badge": approval_badge(obj),
            "waits": obj.state == Approval.State.WAITING,
            "mine": obj.requested_by_id == request.user.pk,
            "most_note": MOST_NOTE,
            **{f"{name}_url": self.address(obj, name) for name in ("approve", "refuse", "withdraw")},
        }

    def approve(self, request: HttpRequest, approval: Approval) -> HttpResponse:
        return self._decide(request, approval, approve, _("Approved; below is what came of it."))

    def refuse(self, request: HttpRequest, approval: Approval) -> HttpResponse:
        return self._decide(request, approval, refuse, _("Refused: nothing is done."))

    def withdraw(self, request: HttpRequest, approval: Approval) -> HttpResponse:
        return self._decide(request, approval, withdraw, _("Taken back: nothing is done."))

    def _decide(self, request: HttpRequest, approval: Approval, decide: Any, done: str) -> HttpResponse:
        note = request.POST.get("note", "").strip()[:MOST_NOTE]
        if tell(request, lambda: decide(approval=approval, user=request.user, note=note), done):
            self.log_change(request, approval, [{"changed": {"fields": ["state"]}}])
        return redirect(self.address(approval))


def approval_badge(approval: Approval) -> SafeString:
    return state_badge(*BADGES[State(approval.state)], approval.get_state_display())


def asked_for(request: HttpRequest, approval: Approval) -> HttpResponse:
    messages.success(request, _("A second person has to agree. Nothing is done until then."))
    return redirect("admin:backups_approval_change", approval.pk)


def ask_through(request: HttpRequest, ask: Callable[[], Approval], back: str) -> HttpResponse:
    """Asks through one service and goes to what waits now; what it refuses is said on the page `back`."""
    try:
        return asked_for(request, ask())
    except BackupError as error:
        messages.error(request, str(error))
        return redirect(back)
