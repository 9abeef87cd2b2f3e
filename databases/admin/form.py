"""The form of a Database: made for one engine, with only the fields that engine has."""

from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_lazy

from databases.admin import hooks
from databases.admin.form_fields import DatabaseFields
from databases.admin.options import FIRST, option_field
from databases.admin.paste import NAME as PASTED
from databases.admin.paste import paste_fields, spread
from databases.engines import registry
from databases.engines.base import Connection
from databases.models import Database
from databases.schedule import INHERIT, crons
from jobs.admin.forms import KEEP, SecretField, Section

TIMES = gettext_lazy(
    "Cron expressions, one a line: minute, hour, day of month, month, day of week; or @daily and the like. "
    "'30 3 * * *' is every night at 03:30."
)
KEEPING = gettext_lazy(
    "A completed backup past the days or the count goes, unless a tier, a lock or a proof keeps it. "
    "Empty takes the site's value, 0 is off. The last good backup always stays."
)
KEEP_FIELDS = ("retention_days", "max_backups", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")
ENCRYPTION = ("encryption", "encryption_recipients")
CONNECTION = ("host", "port", "database_name", "username")
WHEN = ("enabled", "schedule", "times", "timezone", "scheduled_type", "catch_up")
PLAIN = (
    "name",
    *CONNECTION,
    "enabled",
    "timezone",
    "scheduled_type",
    "catch_up",
    "anomalies",
    "compression",
    "package",
    "queue",
)


class DatabaseForm(DatabaseFields):
    """`database` is None for a new one. `values()` is what `save_database` takes."""

    shown_at = {"schedule": "times", "destinations": "destination"}

    def __init__(self, *args: Any, engine: str, database: Database | None = None, **kwargs: Any) -> None:
        self.engine = engine
        self.database = database
        kwargs.setdefault("initial", _initial(database) if database else {})
        self.paste_fault = ""
        if args and args[0] is not None:
            data, self.paste_fault = spread(args[0], engine=engine)
            args = (data, *args[1:])
        super().__init__(*args, **kwargs)
        set_already = database.secret_names if database else []
        self._fit_connection(set_already)
        self.options = {f"options.{option.name}": option for option in registry.option_fields(engine)}
        for name, option in self.options.items():
            self.fields[name] = option_field(option, is_set=name in set_already)
        self.fields |= paste_fields(engine) | hooks.hook_fields(database)
        self.folded = frozenset(name for name, option in self.options.items() if option.name not in FIRST)
        self.folded |= set(hooks.NAMES)
        self.sections = self._sections()
        self.fields["times"].help_text = format_html(
            '{}<span class="bks-preview" hx-get="{}" hx-include="[name=schedule],[name=times],[name=timezone]" '
            'hx-trigger="load, input from:[name=times] delay:300ms, input from:[name=timezone] delay:300ms, '
            'change from:[name=schedule]"></span>',
            TIMES,
            reverse("admin:databases_database_preview_schedule"),
        )

    def _fit_connection(self, set_already: list[str]) -> None:
        engine = registry.engine_class(self.engine)
        used = engine.connection_fields
        self.must = frozenset(engine.validate(Connection(), engine.Options()))
        if any(option.name == "uri" for option in registry.option_fields(self.engine)):
            self.must -= {"host"}  # the address may be given as a whole instead
        for name in {*CONNECTION, "password"} - used:
            del self.fields[name]
        if "port" in used and engine.default_port:
            self.fields["port"].widget.attrs["placeholder"] = engine.default_port
        if "database_name" in used and "database_name" not in self.must:
            self.fields["database_name"].help_text = gettext("Empty: every database of the server.")
        if "password" in used:
            self.fields["password"] = SecretField(is_set="password" in set_already, label=gettext_lazy("Password"))
        if "incremental" not in engine.supports:
            del self.fields["scheduled_type"]
        if self.database is not None:
            del self.fields["id"]

    def _sections(self) -> tuple[Section, ...]:
        engine = registry.engine_class(self.engine)
        heading = gettext("Connection") if engine.connection_fields else gettext("Name")
        return (
            (heading, "", ("name", "id", PASTED, *CONNECTION, "password")),
            (gettext("%(engine)s options") % {"engine": engine.label}, "", tuple(self.options)),
            (gettext("When"), "", WHEN),
            (gettext("How long"), KEEPING, (*KEEP_FIELDS, "anomalies")),
            (
                gettext("Where and how"),
                "",
                ("destination", "compression", "compression_level", *ENCRYPTION, "package", "queue"),
            ),
            (gettext("Hooks"), hooks.ABOUT, hooks.NAMES),
        )

    def values(self) -> dict[str, Any]:
        """Secrets that stay as they are are left out."""
        data = self.cleaned_data
        given = (*PLAIN, *KEEP_FIELDS, "compression_level", "encryption")
        values = {name: data[name] for name in given if name in data}
        if self.database is None:
            values["engine"] = self.engine
            values |= {"id": data["id"]} if data["id"] else {}
        if data.get("password", KEEP) is not KEEP:
            values["password"] = data["password"]
        values["encryption_recipients"] = data["encryption_recipients"] or None
        values["schedule"] = _schedule(data["schedule"], data["times"])
        values["options"] = self._option_values()
        if set(hooks.NAMES) & set(self.changed_data):
            values["hooks"] = hooks.hook_values(data)
        return values

    @property
    def connection_names(self) -> frozenset[str]:
        """Of the fields that say where it is and how one logs in."""
        return frozenset({PASTED, *CONNECTION, "password", *self.options} & set(self.fields))

    def connection_values(self) -> dict[str, Any]:
        """As `values()`, of these fields only; the others may be at fault."""
        data = self.cleaned_data
        values = {name: data[name] for name in CONNECTION if name in data}
        values |= {"password": data["password"]} if data.get("password", KEEP) is not KEEP else {}
        return values | {"options": self._option_values()}

    def _option_values(self) -> dict[str, Any]:
        data = self.cleaned_data
        options = {name.removeprefix("options."): data[name] for name in self.options if data[name] is not KEEP}
        return {name: value for name, value in options.items() if value is not None}

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if self.paste_fault:
            self.add_error(PASTED, self.paste_fault)
        if data.get("schedule") == "own" and not data.get("times") and "times" not in self.errors:
            self.add_error("times", gettext("Give at least one time, or choose another schedule."))
        return data


def _initial(database: Database) -> dict[str, Any]:
    names = (*PLAIN, *KEEP_FIELDS, "compression_level", *ENCRYPTION)
    initial: dict[str, Any] = {name: getattr(database, name) for name in names}
    times = crons(database.schedule)
    initial["times"] = times
    initial["schedule"] = "own" if times else ("none" if database.schedule is None else INHERIT)
    return initial | {f"options.{name}": value for name, value in database.options.items()}


def _schedule(choice: str, times: list[str]) -> Any:
    if choice == "own":
        return times[0] if len(times) == 1 else times
    return INHERIT if choice == INHERIT else None
