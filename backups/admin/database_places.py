"""The destinations of a Database in its form: rows in their order, the first is primary."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from unfold import widgets

from backups.models import Destination

MOST_DAYS = 36_500


class PlacesWidget(forms.Widget):
    """Reads every `NAME` with the `NAME_days` beside it; a row that names nothing is left out."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        known = list(Destination.objects.values("pk", "name", "is_default", "off_site", "fault"))
        default = next((one["name"] for one in known if one["is_default"]), "")
        return render_to_string(
            "backups/database_places.html",
            {
                "name": name,
                "id": (attrs or {}).get("id", ""),
                "rows": [*(value or []), {"destination": "", "retention_days": ""}],
                "known": known,
                "default": default,
                "select_classes": " ".join(widgets.SELECT_CLASSES),
                "input_classes": " ".join(widgets.INPUT_CLASSES),
                "most_days": MOST_DAYS,
            },
        )

    def value_from_datadict(self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str) -> Any:
        if not isinstance(data, MultiValueDict):
            return []
        days = [*data.getlist(f"{name}_days"), *[""] * len(data.getlist(name))]
        rows = zip(data.getlist(name), days, strict=False)
        return [{"destination": pk, "retention_days": day.strip()} for pk, day in rows if pk]


class PlacesField(forms.Field):
    """Cleans to the placements that `protect_database` takes; what they name is checked there."""

    widget = PlacesWidget

    def clean(self, value: Any) -> list[dict[str, Any]]:
        return [
            {"destination": row["destination"], "retention_days": _days(number, row["retention_days"])}
            for number, row in enumerate(value, start=1)
        ]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _as_typed(initial) != _as_typed(data)


def _days(number: int, text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MOST_DAYS:
        raise ValidationError(
            _("Row %(number)s: days are a number from 1 to %(most)s.") % {"number": number, "most": MOST_DAYS}
        )
    return int(text)


def _as_typed(rows: Any) -> list[tuple[str, str]]:
    return [(row["destination"], str(row["retention_days"] or "")) for row in rows or ()]
