"""Create and change the people who use the site: each has one role, and one admin always remains."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.selectors import gate_of
from accounts.services.passwords import demand_change
from accounts.services.sessions import end_sessions
from jobs.roles import Role, role_of
from notifications.services.record import record_event


def save_user(*, user: User, values: Mapping[str, Any]) -> User:
    """`values`: username, first_name, last_name, email, is_active, role, and password where it is to be set.

    A password that is set here ends the user's sessions; with `must_change_password` the next login asks for another.
    Raises ValidationError by field.
    """
    for name, value in values.items():
        if name not in ("role", "password", "must_change_password"):
            setattr(user, name, value)
    user.is_staff = True  # the admin's pages are for everybody with a role; what they may there is the role's
    password = values.get("password")
    faults = _faults(user, password)
    if faults:
        raise ValidationError(faults)
    if password:
        user.set_password(password)
    before = "" if user._state.adding else role_name(User.objects.get(pk=user.pk))
    with transaction.atomic():
        _keep_an_admin(user, values["role"])
        user.is_superuser = user.is_superuser and values["role"] == Role.ADMIN.name.lower()
        user.save()
        user.groups.set([Group.objects.get(name=values["role"])])
        user.__dict__.pop("_backupsite_role", None)  # what was looked up before
        if password or not user.is_active or (before != values["role"] and gate_of(user)):
            end_sessions(user=user)
        if password and values.get("must_change_password"):
            demand_change(user=user)
        _tell(user, before, values["role"])
    return user


def admins() -> QuerySet[User]:
    """Superusers and members of the group, active or not."""
    return User.objects.filter(Q(is_superuser=True) | Q(groups__name=Role.ADMIN.name.lower()))


def role_name(user: User) -> str:
    role = role_of(user) if user.is_active else Role.NONE
    return role.name.lower() if role else ""


def _tell(user: User, before: str, role: str) -> None:
    """`before` is empty for a new user, and for one who could not log in."""
    if before == role:
        return
    known = f"The user {user.username} is {role} now"
    record_event(
        kind="security.role_changed" if before else "security.user_created",
        subject_id=str(user.pk),
        message=f"{known}, and was {before}." if before else f"{known}.",
    )


def _faults(user: User, password: str | None) -> dict[str, Any]:
    faults: dict[str, Any] = {}
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        faults |= error.message_dict
    if password:
        try:
            validate_password(password, user)
        except ValidationError as error:
            faults["password"] = error.messages
    elif user._state.adding and not user.password:  # single sign-on gives one that nobody can use
        faults["password"] = ["A new user needs a password."]
    return faults


def _keep_an_admin(user: User, role: str) -> None:
    if user.is_active and role == Role.ADMIN.name.lower():
        return
    # Locked first, asked after: of two admins who demote each other at once, the second sees what the first did.
    list(User.objects.select_for_update().filter(is_active=True).order_by("pk"))
    known = set(admins().filter(is_active=True).values_list("pk", flat=True))
    if known == {user.pk}:
        raise ValidationError({"role": ["This is the only active admin: make another one first."]})
