"""Who may call what: the view's action asks for a role, the caller has one."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from backupsite.api.models import ApiKey
from jobs.roles import Role, role_of


def role_of_request(request: Request) -> Role:
    """The role of the API key where one was sent, else of the user."""
    if isinstance(request.auth, ApiKey):
        return Role[request.auth.role.upper()]
    return role_of(request.user)


def needed_role(view: Any, method: str) -> Role:
    """An action that says nothing is for viewers when it reads and for admins when it writes."""
    roles: dict[str, Role] = getattr(view, "roles", {})
    default = Role.VIEWER if method in SAFE_METHODS else Role.ADMIN
    return roles.get(getattr(view, "action", None) or method.lower(), default)


class HasRole(BasePermission):
    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: Any) -> bool:
        return role_of_request(request) >= needed_role(view, request.method or "GET")
