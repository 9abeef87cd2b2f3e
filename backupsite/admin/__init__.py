"""The admin's first page, its navigation, who may use it, and what it does not show."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from backupsite.admin import api_keys, dashboard, processes, recovery_kit, users

HIDDEN_APPS = frozenset({"django_celery_beat", "token_blacklist"})


def _hide() -> None:
    """Tables that other parts keep in step: changed by hand they would be changed back, or break."""
    kept = (api_keys.ApiKeyAdmin, processes.ProcessAdmin, recovery_kit.KitAdmin, users.UserAdmin)
    for model, page in list(admin.site._registry.items()):
        if model._meta.app_label in HIDDEN_APPS or (model in (Group, User) and not isinstance(page, kept)):
            admin.site.unregister(model)


def _listed(request: HttpRequest, app_label: str | None = None) -> list[Any]:
    """The menu is our own: no page shows the list of all tables, which each would make, and the first one twice."""
    return _list_tables(request, app_label) if app_label else []


_hide()
_list_tables = admin.site.get_app_list
admin.site.register(User, users.UserAdmin)
setattr(admin.site, "get_app_list", _listed)  # noqa: B010  the site is unfold's, made by its app
setattr(admin.site, "extra_urls", dashboard.routes)  # noqa: B010  unfold's own hook, which Django's type does not know
