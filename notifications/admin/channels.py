"""Channels: a form for each kind, a test, and the secret of a webhook."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from unfold.decorators import display

from jobs.admin.forms import KEEP, LinesField, PageForm, SecretField
from jobs.admin.pages import PageAdmin, posted, tell
from jobs.fields import unseal
from jobs.templatetags.backupsite import distance, two_lines
from notifications.admin.shown import named, severity_badge, target_badge, with_badges
from notifications.models import Channel, Delivery
from notifications.services.save_channel import (
    SECRETS,
    SECURITIES,
    SETTINGS,
    delete_channel,
    drop_old_secret,
    rotate_secret,
    save_channel,
)
from notifications.services.try_channel import try_channel

RECENT = timedelta(days=30)
LABELS = {
    "host": _("SMTP server"),
    "port": _("Port"),
    "security": _("Security"),
    "username": _("User"),
    "sender": pgettext_lazy("who sends", "From"),
}
SECURITY_NAMES = {"starttls": "STARTTLS", "tls": "TLS", "none": _("none")}


def _setting_fields() -> dict[str, forms.Field]:
    securities = [(name, SECURITY_NAMES[name]) for name in SECURITIES]
    return {
        "host": forms.CharField(label=_("SMTP server")),
        "port": forms.IntegerField(label=_("Port"), min_value=1, max_value=65535, initial=587),
        "security": forms.ChoiceField(
            label=_("Security"), choices=securities, help_text=_("587 is STARTTLS, 465 is TLS.")
        ),
        "username": forms.CharField(label=_("Username"), required=False),
        "sender": forms.CharField(label=pgettext_lazy("who sends", "From"), help_text=_("An e-mail address.")),
        "recipients": LinesField(label=_("To"), help_text=_("E-mail addresses, one a line.")),
    }


class ChannelForm(PageForm):
    """Made for one kind."""

    def __init__(self, *args: Any, channel: Channel, **kwargs: Any) -> None:
        self.channel = channel
        initial = {"name": channel.name, "enabled": channel.enabled, **channel.settings}
        super().__init__(*args, **{"initial": initial, **kwargs})
        self.fields["name"] = forms.CharField(label=_("Name"), max_length=200)
        self.fields["enabled"] = forms.BooleanField(label=_("Enabled"), required=False, initial=True)
        fields = _setting_fields()
        for name in SETTINGS[channel.kind]:
            self.fields[name] = fields[name]
        for name in SECRETS[channel.kind]:
            self.fields[name] = self._secret_field(name)
        self.sections = (
            (str(channel.get_kind_display()), "", ("name", "enabled")),
            (gettext("Server"), "", ("host", "port", "security", "username", "password")),
            (gettext("Message"), "", ("sender", "recipients")),
            (gettext("Address"), "", ("url", "secret", "urls")),
        )

    def _secret_field(self, name: str) -> SecretField:
        words: dict[str, dict[str, Any]] = {
            "password": {"label": _("Password")},
            "url": {"label": _("Address"), "help_text": _("https://…; it is not shown again."), "removable": False},
            "secret": {
                "label": _("Signing secret"),
                "help_text": _("whsec_…. Nothing: one is made."),
                "removable": False,
            },
            "urls": {
                "label": _("Addresses"),
                "help_text": _("One a line, as Apprise writes them: tgram://…, slack://…, pagerduty://…"),
                "multiline": True,
                "removable": False,
            },
        }
        return SecretField(is_set=name in self.channel.secret_names, **words[name])

    def values(self) -> dict[str, Any]:
        values = {name: value for name, value in self.cleaned_data.items() if value is not KEEP}
        if "urls" in values:
            values["urls"] = [line.strip() for line in values["urls"].splitlines() if line.strip()]
        return values


@admin.register(Channel)
class ChannelAdmin(PageAdmin):
    page_template = "notifications/channel.html"
    list_display = ("what", "state", "where", "rule_count", "waiting", "last_sent")
    search_fields = ("id", "name")
    search_help_text = _("Search by name or id")
    empty_hint = _("Add a channel, so that somebody is told when backups fail.")
    add_label = _("Add a channel")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        waiting = Q(deliveries__state=Delivery.State.WAITING)
        return Channel.objects.annotate(
            rules_made=Count("rules", distinct=True), waits=Count("deliveries", filter=waiting, distinct=True)
        )

    @display(description=_("Channel"), ordering="name")
    def what(self, channel: Channel) -> SafeString:
        return two_lines(channel.name, channel.get_kind_display())

    @display(description=_("State"))
    def state(self, channel: Channel) -> SafeString:
        return target_badge(channel)

    @display(description=_("To"))
    def where(self, channel: Channel) -> str:
        return str(channel.settings.get("place", ""))

    @display(description=_("Rules"))
    def rule_count(self, channel: Any) -> int:
        return int(channel.rules_made)

    @display(description=_("Waiting"))
    def waiting(self, channel: Any) -> int:
        return int(channel.waits)

    @display(description=_("Last message"), ordering="last_ok_at")
    def last_sent(self, channel: Channel) -> str:
        return distance(channel.last_ok_at)

    def page_routes(self) -> list[URLPattern]:
        return [
            self.post_route("test", self.test, self.change_role),
            self.form_route("edit", self.edit, self.change_role),
            self.post_route("rotate", self.rotate, self.change_role),
            self.post_route("drop_old", self.drop_old, self.change_role),
        ]

    def page_context(self, request: HttpRequest, obj: Channel) -> dict[str, Any]:
        shown = [name for name in SETTINGS[obj.kind] if name not in ("recipients",)]
        recent = obj.deliveries.filter(created_at__gt=timezone.now() - RECENT)
        return {
            "badge": target_badge(obj),
            "facts": [(LABELS[name], obj.settings[name]) for name in shown if obj.settings.get(name)],
            "rules": [
                {"rule": rule, "badge": severity_badge(rule.min_severity), "databases": named(rule.databases)}
                for rule in obj.rules.all()
            ],
            "deliveries": with_badges(obj.deliveries.annotate(count=Count("events")).order_by("-id")[:20]),
            "health": recent.aggregate(
                sent=Count("pk", filter=Q(state=Delivery.State.SENT)),
                failed=Count("pk", filter=Q(state=Delivery.State.FAILED)),
                waiting=Count("pk", filter=Q(state=Delivery.State.WAITING)),
            ),
            "has_old_secret": "old_secret" in obj.secret_names,
            **{f"{name}_url": self.address(obj, name) for name in ("edit", "delete", "rotate", "drop_old")},
            "check_url": self.address(obj, "test"),
        }

    def test(self, request: HttpRequest, channel: Channel) -> HttpResponse:
        report = try_channel(channel=channel)
        if "HX-Request" not in request.headers:
            return redirect(self.address(channel))
        return self.render(request, "notifications/test_report.html", report=report)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        kind = request.GET.get("kind", "")
        if kind not in Channel.Kind.values:
            return self.render(request, "notifications/choose_kind.html", title=gettext("Add a channel"))
        return self._form(request, Channel(kind=kind), existing=None)

    def edit(self, request: HttpRequest, channel: Channel) -> HttpResponse:
        return self._form(request, channel, existing=channel)

    def _form(self, request: HttpRequest, row: Channel, existing: Channel | None) -> HttpResponse:
        form = ChannelForm(posted(request), channel=row)
        if existing:
            title = gettext("Edit %(name)s") % {"name": existing}
        else:
            title = gettext("Add a channel: %(kind)s") % {"kind": row.get_kind_display()}

        def save() -> Channel:
            return save_channel(channel=row, values=form.values(), create=existing is None)

        answer = self.form_page(request, form=form, save=save, existing=existing, title=title)
        made_here = existing is None and answer.status_code == 302 and form.cleaned_data.get("secret") is KEEP
        return self._secret_page(request, row, unseal(row.secrets)["secret"]) if made_here else answer

    def rotate(self, request: HttpRequest, channel: Channel) -> HttpResponse:
        made: list[str] = []
        if not tell(request, lambda: made.append(rotate_secret(channel=channel)), gettext("There is a new secret.")):
            return redirect(self.address(channel))
        self.log_change(request, channel, [{"changed": {"fields": ["secret"]}}])
        return self._secret_page(request, channel, made[0])

    def _secret_page(self, request: HttpRequest, channel: Channel, secret: str) -> HttpResponse:
        def page(request: HttpRequest) -> HttpResponse:
            back = self.address(channel)
            context = {"object": channel, "secret": secret, "title": channel.name, "back": back}
            return self.render(request, "notifications/secret_once.html", **context)

        return never_cache(page)(request)

    def drop_old(self, request: HttpRequest, channel: Channel) -> HttpResponse:
        tell(request, lambda: drop_old_secret(channel=channel), gettext("Only the new secret signs from now on."))
        self.log_change(request, channel, [{"changed": {"fields": ["secret"]}}])
        return redirect(self.address(channel))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_delete_permission(request))
        channel = self.object_or_404(request, object_id)
        if request.method == "POST":
            done = gettext("%(name)s was removed.") % {"name": channel}
            return self.delete_through(request, channel, lambda: delete_channel(channel=channel), done)
        consequences = [gettext("Its rules go too, and what still waits is sent to nobody.")]
        title = gettext("Delete %(name)s?") % {"name": channel}
        return self.confirm_page(request, channel, title=title, consequences=consequences)
