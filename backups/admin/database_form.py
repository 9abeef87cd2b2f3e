"""The form of a Database, with its destinations."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backups.models import DatabaseDestination, Destination
from databases.admin.form import DatabaseForm
from jobs.admin.forms import LinesField

PLACES = ("destination", "destination_days", "copies_at")
A_PLACE = re.compile(r"(?P<id>\S+)(\s+(?P<days>[1-9][0-9]{0,4}))?")


class ProtectedForm(DatabaseForm):
    """With the destinations, which the room of Databases does not know."""

    destination_days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=36500,
        label=gettext_lazy("Days there"),
        help_text=gettext_lazy("After so many days its copies go, while another one is left. Empty: with the backup."),
    )
    copies_at = LinesField(label=gettext_lazy("Copies at"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        default = Destination.objects.filter(is_default=True).first()
        empty = (
            _("The default (%(name)s)") % {"name": default.name} if default else _("The default (there is none yet)")
        )
        known = list(Destination.objects.values_list("pk", "name"))
        self.fields["destination"] = forms.ChoiceField(required=False, choices=[("", empty), *known])
        self.fields["copies_at"].help_text = _(
            "Ids of further destinations, one a line, with days behind them as above (offsite 365). There is: %(ids)s."
        ) % {"ids": ", ".join(pk for pk, _name in known[:20])}
        if self.database and (placements := list(self.database.placements.all())):
            self.initial["destination"] = placements[0].destination_id
            self.initial["destination_days"] = placements[0].retention_days
            self.initial["copies_at"] = [_line(one) for one in placements[1:]]
        self.sections = tuple(
            (title, about, tuple(part for name in names for part in (PLACES if name == PLACES[0] else (name,))))
            for title, about, names in self.sections
        )

    def clean_copies_at(self) -> list[str]:
        lines: list[str] = self.cleaned_data["copies_at"]
        if not all(map(A_PLACE.fullmatch, lines)):
            raise ValidationError(_("Write an id on each line, and the days behind it where there are any."))
        return lines

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if data.get("copies_at") and not data.get("destination"):
            self.add_error("destination", _("Name the primary destination, where there are others."))
        return data

    def placements(self) -> list[dict[str, Any]]:
        """The primary destination first; empty for the default one."""
        first = self.cleaned_data["destination"]
        if not first:
            return []
        further = [found for line in self.cleaned_data["copies_at"] if (found := A_PLACE.fullmatch(line))]
        return [
            {"destination": first, "retention_days": self.cleaned_data["destination_days"]},
            *(
                {"destination": one["id"], "retention_days": int(one["days"]) if one["days"] else None}
                for one in further
            ),
        ]


def _line(placement: DatabaseDestination) -> str:
    return " ".join(filter(None, (placement.destination_id, str(placement.retention_days or ""))))
