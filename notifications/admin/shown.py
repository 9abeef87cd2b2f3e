"""How severities and the state of a target are written."""

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from notifications.models import Severity, Target
from notifications.registry import databases

CLASSES = {Severity.INFO: "", Severity.WARNING: "bks-pending", Severity.ERROR: "bks-failed"}


def severity_badge(severity: str) -> SafeString:
    one = Severity(severity)
    return format_html('<span class="bks-badge {}">{}</span>', CLASSES[one], one.label)


def target_badge(target: Target) -> SafeString:
    if not target.enabled:
        return format_html('<span class="bks-badge">{}</span>', gettext("off"))
    if target.failing_since:
        return format_html('<span class="bks-badge bks-failed">{}</span>', gettext("failing"))
    if target.last_ok_at:
        return format_html('<span class="bks-badge bks-completed">{}</span>', gettext("works"))
    return format_html('<span class="bks-badge">{}</span>', gettext("not used yet"))


def database_choices() -> list[tuple[str, str]]:
    return [(pk, f"{name} ({pk})") for pk, name in databases()]
