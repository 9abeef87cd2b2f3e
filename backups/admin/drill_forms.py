"""Forms about drills: how a Database is drilled, and which copy and server one drill takes."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from backups.admin.restore_form import KeyForm
from backups.models import Backup, Destination, DrillPlan, Pick
from backups.services.assertions import OPERATORS
from databases.admin.words import words_of
from databases.models import Database
from databases.schedule import crons
from jobs.admin.forms import LinesField, PageForm, Section

TIMES = _("Cron expressions, one a line. '0 5 * * 0' is every Sunday at 05:00. Empty: drills are asked for only.")
SERVER = _(
    "Scratch targets are made on the server of this Database and removed again. Name one that is not in production."
)
ALONE = {
    "postgres": _("A server that is thrown away"),
    "http": _("A receiver that is thrown away"),
    "sqlite": _("A file that is thrown away"),
}
ROWS = 3  # empty ones, for further assertions


def server_field(engine: str) -> "forms.ModelChoiceField[Database]":
    field = forms.ModelChoiceField(
        queryset=Database.objects.filter(engine=engine),
        required=False,
        label=_("Drill server"),
        help_text=SERVER,
        empty_label=str(ALONE.get(engine, _("None: drills are refused"))),
    )
    field.label_from_instance = lambda row: f"{row.name} ({row.pk})"  # type: ignore[method-assign, assignment]
    return field


def destination_field() -> "forms.ModelChoiceField[Destination]":
    return forms.ModelChoiceField(
        queryset=Destination.objects.order_by("name"),
        required=False,
        label=_("Copy at"),
        empty_label=str(_("The nearest good copy")),
    )


class DrillPlanForm(PageForm):
    """`values()` is what `save_drill_plan` takes. Each assertion is a row of four fields."""

    shown_at = {"schedule": "times"}

    times = LinesField(label=_("Times"))
    pick = forms.ChoiceField(choices=Pick.choices, label=_("Backup"))
    within_days = forms.IntegerField(
        min_value=0,
        max_value=100_000,
        required=False,
        label=_("Proven within"),
        help_text=_("Days after which you are told that nothing was proven. Empty: as the policy says, 0: never."),
    )

    def __init__(self, *args: Any, database: Database, plan: DrillPlan, **kwargs: Any) -> None:
        self.count = len(plan.assertions) + ROWS
        kwargs["initial"] = _initial(plan)
        super().__init__(*args, **kwargs)
        self.fields["destination"] = destination_field()
        self.fields["server"] = server_field(database.engine)
        words = words_of(database.engine)
        for number in range(1, self.count + 1):
            self.fields |= _assertion_fields(number, str(words["label"]))
        self.fields["times"].help_text = format_html(
            '{}<input type="hidden" name="schedule" value="own"><input type="hidden" name="timezone" value="{}">'
            '<span class="bks-preview" hx-get="{}" hx-include="[name=schedule],[name=times],[name=timezone]" '
            'hx-trigger="load, input from:[name=times] delay:300ms"></span>',
            TIMES,
            database.timezone,
            reverse("admin:databases_database_preview_schedule"),
        )

    @property
    def sections(self) -> tuple[Section, ...]:  # type: ignore[override]
        rows = tuple(
            (str(_("Assertion")) + f" {number}", "", tuple(f"{part}_{number}" for part in PARTS))
            for number in range(1, self.count + 1)
        )
        return (
            (str(_("When")), "", ("times", "within_days")),
            (str(_("What and where")), "", ("pick", "destination", "server")),
            *rows,
        )

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        times = data["times"]
        return {
            "schedule": (times[0] if len(times) == 1 else times) or None,
            "pick": data["pick"],
            "within_days": data["within_days"],
            "destination": data["destination"],
            "server": data["server"],
            "assertions": [found for number in range(1, self.count + 1) if (found := self._assertion(number))],
        }

    def _assertion(self, number: int) -> dict[str, Any] | None:
        """None for a row without a query, which is how one is removed."""
        name, query, operator, value = (self.cleaned_data[f"{part}_{number}"] for part in PARTS)
        if not query:
            return None
        return {"name": name or query[:100], "query": _query(query), "operator": operator, "value": value}


PARTS = ("name", "query", "operator", "value")


class ValueField(forms.CharField):
    """Cleans to a number, true or false."""

    def to_python(self, value: Any) -> Any:
        text = (super().to_python(value) or "").strip()
        if not text:
            return True
        try:
            found = json.loads(text.lower())
        except ValueError:
            found = None
        if not isinstance(found, bool | int | float):
            raise ValidationError(_("Give a number, true or false."))
        return found

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value) if isinstance(value, bool | int | float) else value


def _assertion_fields(number: int, engine: str) -> dict[str, forms.Field]:
    query_help = _("A question to what was restored, as docs/drills.md has it for {engine}. Empty: none.")
    return {
        f"name_{number}": forms.CharField(max_length=200, required=False, label=_("Name")),
        f"query_{number}": forms.CharField(
            required=False,
            label=_("Query"),
            widget=forms.Textarea(attrs={"rows": 2}),
            help_text=str(query_help).format(engine=engine),
        ),
        f"operator_{number}": forms.ChoiceField(
            choices=[(sign, sign) for sign in OPERATORS], label=_("Is"), required=False, initial=">="
        ),
        f"value_{number}": ValueField(required=False, label=_("Value"), help_text=_("A number, true or false.")),
    }


def _initial(plan: DrillPlan) -> dict[str, Any]:
    initial: dict[str, Any] = {
        "times": crons(plan.schedule),
        "pick": plan.pick,
        "within_days": plan.within_days,
        "destination": plan.destination_id,
        "server": plan.server_id,
    }
    for number, one in enumerate(plan.assertions, start=1):
        query = one["query"] if isinstance(one["query"], str) else json.dumps(one["query"])
        values = (one["name"], query, one["operator"], one["value"])
        initial |= {f"{part}_{number}": value for part, value in zip(PARTS, values, strict=True)}
    return initial


def _query(text: str) -> Any:
    """What is written as a JSON object is one; anything else is a text."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValidationError({"assertions": [str(_("A query in braces must be JSON."))]}) from error


class DrillForm(KeyForm):
    """What is left as it is: the Database's plan says it."""

    sections = ((str(_("Drill")), "", ("destination", "server", "identity")),)

    def __init__(self, *args: Any, backup: Backup, plan: DrillPlan, **kwargs: Any) -> None:
        kwargs["initial"] = {"server": plan.server_id}
        super().__init__(*args, backup=backup, **kwargs)
        self.fields["destination"] = destination_field()
        self.fields["server"] = server_field(backup.engine)

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {"destination": data["destination"], "server": data["server"], "identity": self.identity()}


class IdentityForm(KeyForm):
    """The key that a drill waits for."""

    sections = ((str(_("Key")), "", ("identity",)),)
