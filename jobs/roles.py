"""Who may do what: three roles, each a group of that name; a stronger role may all that a weaker one may."""

from enum import IntEnum
from typing import Any


class Role(IntEnum):
    """`viewer` reads states and figures, `operator` runs and reads backups, `admin` changes what is protected."""

    NONE = 0
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


def role_of(user: Any) -> Role:
    """The strongest role of a user; a superuser is an admin. Asks the site database once for each user object.

    Who is no row of the site's users (nobody, or an end user known by a public key) has none.
    """
    if user.pk is None or not user.is_active:
        return Role.NONE
    if user.is_superuser:
        return Role.ADMIN
    known = getattr(user, "_backupsite_role", None)
    if known is None:
        names = {name.upper() for name in user.groups.values_list("name", flat=True)}
        known = max((role for role in Role if role.name in names), default=Role.NONE)
        user._backupsite_role = known
    return Role(known)
