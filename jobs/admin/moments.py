"""A time that is typed into a form, in the time zone in which the form was shown."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.dateparse import parse_datetime
from django.utils.functional import lazy
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.timezones import known_timezones

TYPED = "%Y-%m-%dT%H:%M"


class MomentInput(forms.DateTimeInput):
    """Beside the box stands the zone it was shown in: the browser may have said another since then."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format=TYPED)

    def format_value(self, value: Any) -> str | None:
        try:
            at = _at(value)
            return super().format_value(timezone.localtime(at) if at else value)
        except OverflowError:  # at either end of the calendar
            return None

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        box = super().render(name, value, attrs, renderer)
        zone = timezone.get_current_timezone_name()
        return format_html('{}<input type="hidden" name="{}-zone" value="{}">', box, name, zone)

    def value_from_datadict(self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str) -> Any:
        """With its offset, where the form said its zone."""
        typed, zone = data.get(name), _zone(data.get(f"{name}-zone"))
        at = _at(typed)
        return at.replace(tzinfo=zone).isoformat() if at and zone and timezone.is_naive(at) else typed


class MomentField(forms.DateTimeField):
    """Cleans to a time in UTC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=MomentInput(), input_formats=[TYPED, "%Y-%m-%d %H:%M"], **kwargs)

    def to_python(self, value: Any) -> datetime | None:
        at = super().to_python(value)
        try:
            return at.astimezone(UTC) if at else None
        except OverflowError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None


def _at(value: Any) -> datetime | None:
    try:
        return value if isinstance(value, datetime) else parse_datetime(value or "")
    except (TypeError, ValueError):
        return None


def _zone(name: str | None) -> ZoneInfo | None:
    """None for what somebody made up."""
    return ZoneInfo(name) if name in known_timezones() else None


def _in_zone(text: Any) -> str:
    return str(text) % {"zone": timezone.get_current_timezone_name()}


in_zone = lazy(_in_zone, str)  # the zone of a help text is known only when that is shown
