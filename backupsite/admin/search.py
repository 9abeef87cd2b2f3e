"""The search over everything: what a role may see, found by the search fields of each list, a few of each kind."""

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

EACH = 6  # of one kind; its own list finds the rest
# Of each list its icon, and what a row is known by beside its id; empty where its own words say it.
SEARCHED = {
    "databases.database": ("database", ""),
    "backups.backup": ("inventory_2", "database_name"),
    "backups.restore": ("settings_backup_restore", "target_name"),
    "backups.drill": ("fact_check", "database_name"),
    "backups.destination": ("hard_drive", ""),
    "packages.package": ("package_2", ""),
    "exports.export": ("file_export", ""),
    "notifications.channel": ("campaign", ""),
    "notifications.event": ("notifications", "message"),
    "auth.user": ("group", ""),
    "api.apikey": ("key", ""),
}


def search(request: HttpRequest, term: str) -> list[SearchResult]:
    """In the order of SEARCHED; nothing of what the role may not see."""
    if "\0" in term:  # nothing holds one, and PostgreSQL refuses to look for it
        return []
    pages = {model._meta.label_lower: page for model, page in admin.site._registry.items()}
    found = []
    for label, (icon, known_by) in SEARCHED.items():
        page = pages.get(label)
        if page is None or not page.has_view_permission(request):
            continue
        meta = page.model._meta
        rows, repeated = page.get_search_results(request, page.get_queryset(request), term)
        for row in (rows.distinct() if repeated else rows)[:EACH]:
            address = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
            title = str(getattr(row, known_by) if known_by else row)
            about = f"{meta.verbose_name} · {row.pk}" if title != str(row.pk) else str(meta.verbose_name)
            found.append(SearchResult(title=title, description=about, link=address, icon=icon))
    return found
