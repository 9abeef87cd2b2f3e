"""What is done to many Databases at once: asked first, then each by its own service, then said what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from audit.services.draft import say
from backups.services.request import request_backup
from backups.services.request_drill import request_drill
from databases.models import Database
from databases.services.pause import pause_database
from jobs.admin.pages import PageAdmin
from jobs.errors import BackupError

NAMED = 12  # of those that are asked about
REFUSED = 5  # of those that are told why not


@dataclass(frozen=True)
class Bulk:
    """`title` and `done` are for a number; `call` does it to one Database and may raise BackupError."""

    title: Any
    about: str | Promise
    submit: str | Promise
    done: Any
    call: Callable[[Database, Any], Any]


BULKS = {
    "back_up_all": Bulk(
        title=ngettext_lazy("Back up %(n)s Database now?", "Back up %(n)s Databases now?", "n"),
        about=gettext_lazy("Each gets a full backup. While one of it runs, the next waits its turn."),
        submit=gettext_lazy("Back up now"),
        done=ngettext_lazy("%(n)s backup was asked for.", "%(n)s backups were asked for.", "n"),
        call=lambda database, user: request_backup(database=database, user=user),
    ),
    "drill_all": Bulk(
        title=ngettext_lazy("Drill %(n)s Database now?", "Drill %(n)s Databases now?", "n"),
        about=gettext_lazy("A backup of each is restored into a scratch target, compared, and torn down again."),
        submit=gettext_lazy("Drill now"),
        done=ngettext_lazy("%(n)s drill was asked for.", "%(n)s drills were asked for.", "n"),
        call=lambda database, user: request_drill(database=database, user=user),
    ),
    "pause_all": Bulk(
        title=ngettext_lazy("Pause %(n)s Database?", "Pause %(n)s Databases?", "n"),
        about=gettext_lazy(
            "Neither a schedule nor a person starts a backup of a paused Database. What runs now runs to its end, and "
            "no backup is lost."
        ),
        submit=gettext_lazy("Pause"),
        done=ngettext_lazy("%(n)s Database was paused.", "%(n)s Databases were paused.", "n"),
        call=lambda database, user: pause_database(database=database, paused=True),
    ),
    "resume_all": Bulk(
        title=ngettext_lazy("Resume %(n)s Database?", "Resume %(n)s Databases?", "n"),
        about=gettext_lazy("Their schedules go on with the next due time; what passed meanwhile is not made up."),
        submit=gettext_lazy("Resume"),
        done=ngettext_lazy("%(n)s Database was resumed.", "%(n)s Databases were resumed.", "n"),
        call=lambda database, user: pause_database(database=database, paused=False),
    ),
}


class BulkActions(PageAdmin):
    """Mixed into the admin of Databases. The list posts its choice, the page that asks posts it once more."""

    actions = tuple(BULKS)

    @admin.action(permissions=["run"], description=gettext_lazy("Back up now"))
    def back_up_all(self, request: HttpRequest, chosen: QuerySet[Database]) -> HttpResponse | None:
        return self._all(request, chosen, "back_up_all")

    @admin.action(permissions=["run"], description=gettext_lazy("Drill now"))
    def drill_all(self, request: HttpRequest, chosen: QuerySet[Database]) -> HttpResponse | None:
        return self._all(request, chosen, "drill_all")

    @admin.action(permissions=["change"], description=gettext_lazy("Pause"))
    def pause_all(self, request: HttpRequest, chosen: QuerySet[Database]) -> HttpResponse | None:
        return self._all(request, chosen, "pause_all")

    @admin.action(permissions=["change"], description=gettext_lazy("Resume"))
    def resume_all(self, request: HttpRequest, chosen: QuerySet[Database]) -> HttpResponse | None:
        return self._all(request, chosen, "resume_all")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {name: action for name, action in super().get_actions(request).items() if name in BULKS}

    def _all(self, request: HttpRequest, chosen: QuerySet[Database], name: str) -> HttpResponse | None:
        bulk = BULKS[name]
        databases = list(Database.objects.filter(pk__in=list(chosen.values_list("pk", flat=True))))
        if request.POST.get("confirmed"):
            say(action=f"database.{name}")
            _tell(request, bulk, *_done(bulk, databases, request.user))
            return None  # back to the list, as it was filtered
        across = request.POST.get("select_across", "0") == "1"
        return self.render(
            request,
            "backups/databases_bulk.html",
            title=bulk.title % {"n": len(databases)},
            bulk=bulk,
            action=name,
            databases=databases[:NAMED],
            more=max(0, len(databases) - NAMED),
            across=across,
            selected=[one.pk for one in (databases[:1] if across else databases)],
            back=request.get_full_path(),
        )


def _done(bulk: Bulk, databases: list[Database], user: Any) -> tuple[int, list[str]]:
    """How many it was done to, and why not to the others."""
    refused = []
    for database in databases:
        try:
            bulk.call(database, user)
        except BackupError as error:
            refused.append(f"{database.name}: {error}")
    return len(databases) - len(refused), refused


def _tell(request: HttpRequest, bulk: Bulk, done: int, refused: list[str]) -> None:
    if done:
        messages.success(request, bulk.done % {"n": done})
    if refused:
        counted = ngettext("Not so for %(n)s Database.", "Not so for %(n)s Databases.", len(refused))
        reasons = " ".join(refused[:REFUSED])
        if len(refused) > REFUSED:
            reasons = _("%(reasons)s And %(n)s more.") % {"reasons": reasons, "n": len(refused) - REFUSED}
        messages.warning(request, f"{counted % {'n': len(refused)}} {reasons}")
