"""The list of Databases: what each is, whether it is protected, how the last runs went and when the next is due."""

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.views import ChangeList

from backups.admin.standing_filter import StandingFilter
from backups.models import Backup
from backups.size_trend import recent_sizes
from backups.standing import Standing, standings
from databases.admin.words import words_of
from databases.models import Database
from databases.selectors import address_of, next_runs_of, site_policy
from jobs.templatetags.backupsite import badge, distance, moment, size
from jobs.templatetags.parts import sparkline, state_badge


class DatabaseChanges(ChangeList):
    """With what is asked once for all rows of a page."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        ids = [row.pk for row in rows]
        sizes, standing, policy = recent_sizes(ids), {one.pk: one for one in standings(only=ids)}, site_policy()
        for row in rows:
            row.sizes, row.standing, row.policy = sizes.get(row.pk, []), standing[row.pk], policy
        self.result_list = rows


class DatabaseList(ModelAdmin):
    """Mixed into the admin of Databases."""

    list_display = ("what", "protection", "last_backup", "last_good", "next_run", "trend")
    search_fields = ("id", "name", "host", "database_name")
    list_filter = (StandingFilter, "engine", "enabled")
    search_help_text = gettext_lazy("Search by name, id or server")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return DatabaseChanges

    def get_queryset(self, request: HttpRequest) -> QuerySet[Database]:
        newest = Backup.objects.filter(database=OuterRef("pk")).order_by("-created_at", "-pk")
        return Database.objects.annotate(last_backup_status=Subquery(newest.values("status")[:1]))

    @display(description=gettext_lazy("Database"), ordering="name")
    def what(self, database: Database) -> SafeString:
        words = words_of(database.engine)
        where = address_of(database)
        return format_html(
            '<span class="bks-db">{}<span><strong>{}</strong><span class="bks-quiet">{}</span></span></span>',
            engine_icon(database.engine),
            database.name,
            f"{words['label']} · {where}" if where else words["label"],
        )

    @display(description=gettext_lazy("Protection"))
    def protection(self, database: Any) -> SafeString:
        return protection_badge(database.standing)

    @display(description=gettext_lazy("Last backup"))
    def last_backup(self, database: Any) -> SafeString | str:
        return badge(database.last_backup_status) if database.last_backup_status else _("none yet")

    @display(description=gettext_lazy("Last good"))
    def last_good(self, database: Any) -> SafeString:
        return format_html('<span class="bks-due">{}</span>', distance(database.standing.good_at))

    @display(description=gettext_lazy("Next run"))
    def next_run(self, database: Any) -> Any:
        due = next_runs_of(database, database.policy, after=timezone.now(), count=1)
        if not due:
            return _("on demand") if database.enabled and not database.policy.paused else "–"
        return format_html('<span class="bks-due">{}</span>', moment(due[0]))

    @display(description=gettext_lazy("Size"))
    def trend(self, database: Any) -> SafeString:
        return size_trend(database.sizes)


def engine_icon(kind: str) -> SafeString:
    words = words_of(kind)
    return format_html(
        '<span class="bks-engine bks-engine-{}" aria-hidden="true">'
        '<span class="material-symbols-outlined">{}</span></span>',
        kind,
        words["symbol"],
    )


def protection_badge(standing: Standing) -> SafeString:
    """The worst first, each by colour, shape and word."""
    said: tuple[str, str, Any]
    if not standing.enabled:
        said = "quiet", "pause_circle", _("paused")
    elif standing.good_at is None:
        said = "bad", "gpp_bad", _("not protected")
    elif standing.overdue:
        said = "bad", "running_with_errors", _("overdue")
    elif standing.held:
        said = "warn", "troubleshoot", _("look at it")
    elif standing.proven:
        said = "good", "verified", _("protected, proven")
    else:
        said = "good", "verified_user", _("protected")
    shown: SafeString = state_badge(*said)
    return shown


def size_trend(sizes: list[int]) -> SafeString:
    """A line through the sizes, and the newest as a number."""
    if not sizes:
        return format_html('<span class="bks-quiet">{}</span>', "–")
    said = _("Stored sizes of the last %(n)s backups, from %(first)s to %(last)s")
    label = said % {"n": len(sizes), "first": size(sizes[0]), "last": size(sizes[-1])}
    line = sparkline(sizes, label) if len(sizes) > 1 else ""
    return format_html('<span class="bks-trend">{}<span>{}</span></span>', line, size(sizes[-1]))
