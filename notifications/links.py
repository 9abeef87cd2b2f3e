"""Where an operator looks at what an event is about."""

from django.conf import settings
from django.urls import reverse

from notifications.models import Event
from notifications.registry import page_of


def link_of(event: Event) -> str:
    """An address with the site's public name; empty where that is not known, or where there is no page."""
    path = path_of(event)
    return f"{settings.BACKUPSITE_PUBLIC_URL}{path}" if path and settings.BACKUPSITE_PUBLIC_URL else ""


def link_to_all() -> str:
    if not settings.BACKUPSITE_PUBLIC_URL:
        return ""
    return f"{settings.BACKUPSITE_PUBLIC_URL}{reverse('admin:notifications_event_changelist')}"


def path_of(event: Event) -> str:
    """Empty where the subject has no page."""
    family, prefix = f"{event.kind.partition('.')[0]}.", f"{event.subject_id.partition('_')[0]}_"
    if view := page_of(family) or page_of(prefix):
        return reverse(view, args=[event.subject_id])
    view = page_of("database")
    return reverse(view, args=[event.database_id]) if view and event.database_id else ""
