"""Users: name, role, password."""

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from backupsite.users import role_name, save_user
from jobs.admin.forms import KEEP, PageForm, SecretField
from jobs.admin.pages import PageAdmin, posted
from jobs.roles import Role, role_of
from jobs.templatetags.backupsite import distance

ROLES = (
    ("viewer", "Viewer: reads states and figures"),
    ("operator", "Operator: also backs up, verifies, restores and downloads"),
    ("admin", "Admin: everything"),
)


class UserForm(PageForm):
    sections = (
        ("User", "", ("username", "role", "is_active")),
        ("Password", "", ("password",)),
        ("Person", "", ("first_name", "last_name", "email")),
    )

    username = forms.CharField(max_length=150)
    role = forms.ChoiceField(choices=ROLES, initial="viewer")
    is_active = forms.BooleanField(
        required=False,
        initial=True,
        label="Active",
        help_text="An inactive user cannot log in; history keeps the name.",
    )
    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)
    email = forms.EmailField(required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        known = {name: getattr(user, name) for name in ("username", "is_active", "first_name", "last_name", "email")}
        initial = {**known, "role": role_name(user)} if user.pk else {}
        kwargs.setdefault("initial", initial)
        super().__init__(*args, **kwargs)
        self.fields["password"] = SecretField(is_set=user.pk is not None, removable=False)

    def values(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if value is not KEEP}


class UserAdmin(PageAdmin):
    view_role = Role.ADMIN
    list_display = ("username", "person", "role", "active", "seen")
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return User.objects.prefetch_related("groups")

    @display(description="Name", ordering="last_name")
    def person(self, user: User) -> str:
        return user.get_full_name() or user.email

    @display(description="Role")
    def role(self, user: User) -> str:
        names = {group.name for group in user.groups.all()} | ({"admin"} if user.is_superuser else set())
        return next((name for name in ("admin", "operator", "viewer") if name in names), "none")

    @display(description="Active", boolean=True, ordering="is_active")
    def active(self, user: User) -> bool:
        return user.is_active

    @display(description="Last login", ordering="last_login")
    def seen(self, user: User) -> str:
        return distance(user.last_login)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the history names its users: they are made inactive instead

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        return self._form(request, User(), existing=None)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        self.refuse_unless(role_of(request.user) >= Role.ADMIN)
        user = self.object_or_404(request, object_id)
        return self._form(request, user, existing=user)

    def _form(self, request: HttpRequest, user: User, existing: User | None) -> HttpResponse:
        form = UserForm(posted(request), user=user)
        return self.form_page(
            request,
            form=form,
            save=lambda: save_user(user=user, values=form.values()),
            existing=existing,
            title=f"Edit {user.username}" if existing else "Add a user",
            back=self.list_address(),
        )
