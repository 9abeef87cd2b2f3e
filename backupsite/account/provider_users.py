"""Which user of this site somebody is of whom a provider has proven who it is; and the role that comes with it."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import Identity
from audit.services.draft import say
from backupsite.single_sign_on import Provider
from backupsite.users import role_name, save_user
from jobs.errors import BackupError


def user_of(*, provider: Provider, claims: dict[str, Any]) -> Any:
    """The user: known by issuer and subject, else the one with the verified e-mail address, else a new one.

    Raises BackupError(oidc_refused): unverified address, unknown person, no group with a role, inactive user.
    """
    role = _role(provider, claims)
    with transaction.atomic():
        identity = (
            Identity.objects.select_related("user").filter(issuer=provider.issuer, subject=_subject(claims)).first()
        )
        user = identity.user if identity else _link(provider, claims, role)
        if not user.is_active:
            raise _refused("This user may not log in here any more.")
        if role and role != role_name(user):
            _give_role(user, role)
    say(user_id=user.pk, who=user.get_username())
    return user


def _role(provider: Provider, claims: dict[str, Any]) -> str:
    """The strongest that the person's groups give; empty where groups are not asked for."""
    if not any(provider.groups.values()):
        return ""
    given = claims.get(provider.groups_claim) or []
    names = {given} if isinstance(given, str) else {name for name in given if isinstance(name, str)}
    for role, groups in provider.groups.items():
        if groups & names:
            return role
    raise _refused("None of your groups at the provider has a role here.")


def _link(provider: Provider, claims: dict[str, Any], role: str) -> Any:
    """An address is taken as a person's only where the provider says that it was verified."""
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str) or "@" not in email:
        raise _refused("The provider does not vouch for your e-mail address.")
    found = get_user_model().objects.select_for_update().filter(email__iexact=email)
    users = [user for user in found if is_same_address(user.email, email)]
    if len(users) > 1 or (users and Identity.objects.filter(user=users[0]).exists()):
        raise _refused("Your e-mail address belongs to another user here.")
    if not users and not provider.create_users:
        raise _refused("There is no user with your e-mail address here: ask an admin to add you.")
    user = users[0] if users else _new_user(claims, email, role or "viewer")
    Identity.objects.create(issuer=provider.issuer, subject=_subject(claims), user=user)
    return user


def is_same_address(known: str, said: str) -> bool:
    """Databases take more letters for each other than are: PostgreSQL may have `ı` and `i` as one in upper case."""
    return known == said or (known.isascii() and said.isascii() and known.lower() == said.lower())


def _new_user(claims: dict[str, Any], email: str, role: str) -> Any:
    model = get_user_model()
    name = str(claims.get("preferred_username") or email)[:150]
    user = model(username=email if model.objects.filter(username=name).exists() else name)
    user.set_unusable_password()
    first, last = (str(claims.get(part) or "")[:150] for part in ("given_name", "family_name"))
    values = {"first_name": first, "last_name": last, "email": email, "is_active": True, "role": role}
    return _saved(user, values)


def _give_role(user: Any, role: str) -> None:
    _saved(user, {"role": role})


def _saved(user: Any, values: dict[str, Any]) -> Any:
    try:
        return save_user(user=user, values=values)
    except ValidationError as error:
        raise _refused(" ".join(error.messages)) from error


def _subject(claims: dict[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise _refused("The provider's answer does not say who you are.")
    return subject


def _refused(message: str) -> BackupError:
    return BackupError(message, code="oidc_refused", permanent=True)
