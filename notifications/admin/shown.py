"""How severities, deliveries and the state of a target are written: by colour, shape and word."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from unfold.views import ChangeList

from jobs.templatetags.parts import state_badge
from notifications.models import Delivery, Severity, Target
from notifications.registry import databases

SEVERITIES = {
    Severity.INFO: ("quiet", "info"),
    Severity.WARNING: ("warn", "warning"),
    Severity.ERROR: ("bad", "error"),
}
DELIVERIES = {
    Delivery.State.WAITING: ("now", "schedule_send"),
    Delivery.State.SENT: ("good", "check_circle"),
    Delivery.State.FAILED: ("bad", "error"),
    Delivery.State.DROPPED: ("quiet", "block"),
}


class NamedChanges(ChangeList):
    """A list whose rows know what Databases are called: `names`, asked for once a page."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list, names = list(self.result_list), dict(databases())
        for row in self.result_list:
            row.names = names


def severity_badge(severity: str) -> SafeString:
    one = Severity(severity)
    return state_badge(*SEVERITIES[one], one.label)


def delivery_badge(delivery: Delivery) -> SafeString:
    return state_badge(*DELIVERIES[Delivery.State(delivery.state)], delivery.get_state_display())


def target_badge(target: Target) -> SafeString:
    if not target.enabled:
        return state_badge("quiet", "notifications_off", gettext("off"))
    if target.failing_since:
        return state_badge("bad", "error", gettext("failing"))
    if target.last_ok_at:
        return state_badge("good", "check_circle", gettext("works"))
    return state_badge("quiet", "help", gettext("not used yet"))


def with_badges(deliveries: Any) -> list[Delivery]:
    """For `notifications/deliveries.html`."""
    shown, now = list(deliveries), timezone.now()
    for delivery in shown:
        delivery.badge = delivery_badge(delivery)
        delivery.is_due = delivery.next_attempt_at <= now
    return shown


def named(ids: Sequence[str]) -> list[str]:
    """What these Databases are called; one that is gone by its id."""
    names = dict(databases()) if ids else {}
    return [names.get(pk, pk) for pk in ids]


def database_choices() -> list[tuple[str, str]]:
    return [(pk, f"{name} ({pk})") for pk, name in databases()]
