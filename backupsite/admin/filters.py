"""Filters of the lists of who may do what."""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from backupsite.api.models import Role


class RoleFilter(DropdownFilter):
    """A superuser is an admin too."""

    title = _("role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Role.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in Role.values:
            return queryset
        found = Q(groups__name=self.value())
        return queryset.filter(found | Q(is_superuser=True) if self.value() == Role.ADMIN else found).distinct()


class KeyStateFilter(DropdownFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("usable", _("usable")), ("expired", _("expired")), ("revoked", _("revoked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        revoked, expired = Q(revoked_at__isnull=False), Q(expires_at__lte=timezone.now())
        chosen = {"revoked": revoked, "expired": expired & ~revoked, "usable": ~(expired | revoked)}
        return queryset.filter(chosen[self.value()]) if self.value() in chosen else queryset
