"""The hooks of a Database in its form: one command a line, cut into words as a shell would and read by no shell."""

import shlex
from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy

from databases.hooks import MAX_TIMEOUT_S, Hooks
from databases.models import Database

PREFIX = "hooks."
NAMES = ("hooks.pre", "hooks.post", "hooks.timeout_s")
ABOUT = gettext_lazy(
    "Commands of your own around each backup, such as freezing and thawing an application. They run as the site's "
    "user on the worker's host, without a shell; what they print goes to the job's log."
)


class CommandsField(forms.CharField):
    """Cleans to a list of commands, each a list of words."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea(attrs={"rows": 2}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(shlex.join, value)) if isinstance(value, (list, tuple)) else value

    def to_python(self, value: Any) -> Any:
        commands = []
        for number, line in enumerate((super().to_python(value) or "").splitlines(), start=1):
            try:
                words = shlex.split(line)
            except ValueError as fault:
                told = {"line": number, "fault": f"{str(fault)[:1].lower()}{str(fault)[1:]}"}
                raise ValidationError(gettext("Line %(line)s: %(fault)s.") % told) from fault
            commands += [words] if words else []
        return commands

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool([list(command) for command in initial or ()] != self.to_python(data))
        except ValidationError:
            return True


def hook_fields(database: Database | None) -> dict[str, forms.Field]:
    """None where the deployment allows no hooks and none are left to be removed."""
    hooks = Hooks.of(database.hooks if database else {})
    if not (settings.BACKUPSITE_HOOK_PROGRAMS or hooks):
        return {}
    allowed = ", ".join(settings.BACKUPSITE_HOOK_PROGRAMS) or gettext("none")
    return {
        "hooks.pre": CommandsField(
            label=gettext_lazy("Before"),
            initial=hooks.pre,
            help_text=gettext(
                "One command a line; one that fails stops the backup. Allowed on this deployment: %(programs)s"
            )
            % {"programs": allowed},
        ),
        "hooks.post": CommandsField(
            label=gettext_lazy("After"),
            initial=hooks.post,
            help_text=gettext_lazy(
                "One command a line; all of them run, whatever happened. BACKUPSITE_STATUS says how it went."
            ),
        ),
        "hooks.timeout_s": forms.IntegerField(
            label=gettext_lazy("Seconds for each"),
            min_value=1,
            max_value=MAX_TIMEOUT_S,
            initial=hooks.timeout_s,
            help_text=gettext_lazy("A command that takes longer is ended and has failed."),
        ),
    }


def hook_values(data: Mapping[str, Any]) -> dict[str, Any]:
    """As they are stored: nothing when there is no command."""
    given = {name.removeprefix(PREFIX): data[name] for name in NAMES}
    return given if given["pre"] or given["post"] else {}
