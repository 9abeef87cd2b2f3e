"""Users: who they are, their role, how they log in, where they are logged in, what they did lately."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.models import Identity, Session
from accounts.selectors import account_of, recovery_codes_left
from accounts.services.second_factor import remove
from accounts.services.sessions import end_session, end_sessions
from audit.models import Entry
from audit.services.draft import say
from backupsite.account.pages import shown_sessions
from backupsite.admin.filters import RoleFilter
from backupsite.api.models import ApiKey
from backupsite.users import role_name, save_user
from jobs.admin.forms import KEEP, PageForm, SecretField
from jobs.admin.pages import PageAdmin, posted
from jobs.roles import Role
from jobs.templatetags.backupsite import distance, two_lines
from jobs.templatetags.parts import state_badge

ROLES = (
    ("viewer", _("Viewer: reads states and figures")),
    ("operator", _("Operator: also backs up, verifies, restores and downloads")),
    ("admin", _("Admin: everything")),
)
NAMES = {"admin": _("admin"), "operator": _("operator"), "viewer": _("viewer")}
RECENT = 10


class UserForm(PageForm):
    sections = (
        (_("User"), "", ("username", "role", "is_active")),
        (_("Password"), "", ("password", "must_change_password")),
        (_("Person"), "", ("first_name", "last_name", "email")),
    )

    username = forms.CharField(label=_("User name"), max_length=150)
    role = forms.ChoiceField(label=_("Role"), choices=ROLES, initial="viewer")
    is_active = forms.BooleanField(
        required=False,
        initial=True,
        label=_("Active"),
        help_text=_("An inactive user cannot log in; history keeps the name."),
    )
    must_change_password = forms.BooleanField(
        required=False,
        initial=True,
        label=_("Only for the first login"),
        help_text=_("Asks for a password of their own at the next login: nobody else should know it."),
    )
    first_name = forms.CharField(label=_("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=_("Last name"), max_length=150, required=False)
    email = forms.EmailField(label=_("E-mail address"), required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        known = {name: getattr(user, name) for name in ("username", "is_active", "first_name", "last_name", "email")}
        initial = {**known, "role": role_name(user)} if user.pk else {}
        kwargs.setdefault("initial", initial)
        super().__init__(*args, **kwargs)
        self.fields["password"] = SecretField(label=_("Password"), is_set=user.pk is not None, removable=False)

    def values(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if value is not KEEP}


class UserAdmin(PageAdmin):
    view_role = Role.ADMIN
    page_template = "accounts/user.html"
    list_display = ("person", "role", "state", "factor", "seen")
    list_filter = (RoleFilter, "is_active")
    list_filter_submit = True
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return User.objects.select_related("account", "identity").prefetch_related("groups")

    @display(description=_("User"), ordering="username")
    def person(self, user: User) -> SafeString:
        return two_lines(user.username, user.get_full_name() or user.email)

    @display(description=_("Role"))
    def role(self, user: User) -> Any:
        names = {group.name for group in user.groups.all()} | ({"admin"} if user.is_superuser else set())
        return next((NAMES[name] for name in NAMES if name in names), _("none"))

    @display(description=_("State"), ordering="is_active")
    def state(self, user: User) -> SafeString:
        return active_badge(user)

    @display(description=_("Second factor"))
    def factor(self, user: User) -> SafeString:
        return factor_badge(user)

    @display(description=_("Last login"), ordering="last_login")
    def seen(self, user: User) -> str:
        return distance(user.last_login)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the history names its users: they are made inactive instead

    def page_routes(self) -> list[URLPattern]:
        return [
            self.form_route("edit", self.edit, Role.ADMIN),
            self.post_route("reset-factor", self.reset_factor, Role.ADMIN),
            self.post_route("end-sessions", self.end_sessions, Role.ADMIN),
            self.post_route("end-session", self.end_session, Role.ADMIN),
        ]

    def page_context(self, request: HttpRequest, obj: User) -> dict[str, Any]:
        return {
            "title": obj.username,
            "role": NAMES.get(role_name(obj), _("none")),
            "state": active_badge(obj),
            "factor": factor_badge(obj),
            "account": account_of(obj),
            "codes_left": recovery_codes_left(obj),
            "identity": Identity.objects.filter(user=obj).first(),
            "sessions": shown_sessions(obj, request.session.session_key),
            "keys": ApiKey.objects.filter(created_by=obj, revoked_at__isnull=True)[:20],
            "entries": Entry.objects.filter(user_id=obj.pk)[:RECENT],
            "urls": {name: self.address(obj, name) for name in ("edit", "reset-factor", "end-sessions", "end-session")},
        }

    def _page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self.refuse_unless(self.has_view_permission(request))
        user = self.object_or_404(request, object_id)
        return self.render(request, self.page_template, object=user, **self.page_context(request, user))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        return self._form(request, User(), existing=None)

    def edit(self, request: HttpRequest, user: User) -> HttpResponse:
        return self._form(request, user, existing=user)

    def _form(self, request: HttpRequest, user: User, existing: User | None) -> HttpResponse:
        form = UserForm(posted(request), user=user)
        return self.form_page(
            request,
            form=form,
            save=lambda: save_user(user=user, values=form.values()),
            existing=existing,
            title=gettext("Edit %(name)s") % {"name": user.username} if existing else gettext("Add a user"),
        )

    def reset_factor(self, request: HttpRequest, user: User) -> HttpResponse:
        """For somebody who lost the telephone and the recovery codes: the next login asks for the password only."""
        say(action="second-factor.reset")
        remove(user=user, by=request.user.get_username())
        messages.success(request, gettext("The second factor of %(name)s is off.") % {"name": user.username})
        return redirect(self.address(user))

    def end_sessions(self, request: HttpRequest, user: User) -> HttpResponse:
        own = request.session.session_key if user == request.user else None
        end_sessions(user=user, but=own)
        messages.success(request, gettext("%(name)s is logged out everywhere.") % {"name": user.username})
        return redirect(self.address(user))

    def end_session(self, request: HttpRequest, user: User) -> HttpResponse:
        number = request.POST.get("session", "")
        end_session(
            session=get_object_or_404(Session, pk=int(number[:18]) if number.isdecimal() else 0, user_id=user.pk)
        )
        messages.success(request, gettext("That browser is logged out."))
        return redirect(self.address(user))


def active_badge(user: User) -> SafeString:
    if user.is_active:
        return state_badge("good", "check_circle", gettext("active"))
    return state_badge("quiet", "block", gettext("inactive"))


def factor_badge(user: User) -> SafeString:
    account = getattr(user, "account", None)
    if account is not None and account.totp_confirmed_at is not None:
        return state_badge("good", "verified_user", gettext("on"))
    if getattr(user, "identity", None) is not None:
        return state_badge("now", "login", gettext("single sign-on"))
    return state_badge("quiet", "shield", gettext("off"))
