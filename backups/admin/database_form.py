"""The form of a Database, with its destinations and what retention would do."""

from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from backups.admin.database_places import PlacesField
from databases.admin.form import KEEP_FIELDS, DatabaseForm

PLACES = "destination"


class ProtectedForm(DatabaseForm):
    """With what the room of Databases does not know."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[PLACES] = PlacesField(
            required=False,
            label=_("Destinations"),
            help_text=_(
                "Backups go to the first one and are copied to the others. After the days at a destination its copies "
                "go, while another one is left; without days they stay as long as the backup."
            ),
        )
        if self.database:
            rows = self.database.placements.values("destination", "retention_days")
            self.initial[PLACES] = list(rows)
            self._preview_retention(reverse("admin:databases_database_preview-retention", args=[self.database.pk]))

    def _preview_retention(self, url: str) -> None:
        """Below the last limit: which of its backups would go with the limits as they are typed."""
        typed = ", ".join(f"input from:[name={name}] delay:400ms" for name in KEEP_FIELDS)
        included = ",".join(f"[name={name}]" for name in KEEP_FIELDS)
        self.fields[KEEP_FIELDS[-1]].help_text = format_html(
            '<span class="bks-preview" hx-get="{}" hx-include="{}" hx-trigger="load, {}" aria-live="polite"></span>',
            url,
            included,
            typed,
        )

    def placements(self) -> list[dict[str, Any]]:
        """The primary destination first; empty for the default one."""
        found: list[dict[str, Any]] = self.cleaned_data[PLACES]
        return found
