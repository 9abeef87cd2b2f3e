"""Who may call what: the view's action asks for a role, the caller has one."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from backupsite.api.models import ApiKey
from jobs.roles import Role, role_of


def role_of_request(request: Request) -> Role:
    """The user's; of an API key its own, and never more than its maker's now: who is demoted keeps no back door."""
    if not isinstance(request.auth, ApiKey):
        return role_of(request.user)
    own = Role[request.auth.role.upper()]
    return own if request.auth.created_by is None else min(own, role_of(request.auth.created_by))


def needed_role(view: Any, method: str) -> Role:
    """An action that says nothing is for viewers when it reads and for admins when it writes."""
    roles: dict[str, Role] = getattr(view, "roles", {})
    default = Role.VIEWER if method in SAFE_METHODS else Role.ADMIN
    return roles.get(getattr(view, "action", None) or method.lower(), default)


def role_of_query(view: Any, request: Request) -> Role:
    """What `?include=` asks for beside the action."""
    included: dict[str, Role] = getattr(view, "include_roles", {})
    return included.get(request.query_params.get("include", ""), Role.NONE)


class HasRole(BasePermission):
    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: Any) -> bool:
        needed = max(needed_role(view, request.method or "GET"), role_of_query(view, request))
        view.role = role_of_request(request)
        return bool(view.role >= needed)
