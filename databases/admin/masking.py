"""The masking rules of a Database in the admin: one a line, cut into words as a shell would."""

import shlex
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from databases.engines import registry
from databases.models import Database
from databases.selectors import masking_of
from databases.services.save_masking import FIELDS, save_masking
from jobs.admin.forms import PageForm
from jobs.admin.pages import posted


class RulesField(forms.CharField):
    """Cleans to a list of rules."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false"}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str) or value is None:
            return value
        return "\n".join(shlex.join([rule[name] for name in FIELDS if rule[name]]) for rule in value)

    def to_python(self, value: Any) -> Any:
        rules = []
        for number, line in enumerate((super().to_python(value) or "").splitlines(), start=1):
            try:
                words = shlex.split(line)
            except ValueError as fault:
                raise ValidationError(_("Line %(line)s: %(fault)s.") % {"line": number, "fault": fault}) from fault
            if not words:
                continue
            if not 3 <= len(words) <= len(FIELDS):
                raise ValidationError(_("Line %(line)s: give table, column, method and value.") % {"line": number})
            rules.append(dict(zip(FIELDS, [*words, ""], strict=False)))
        return rules

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((self.prepare_value(initial) or "").split() != (data or "").split())


class MaskingForm(PageForm):
    sections = (
        (
            gettext_lazy("Masked columns"),
            gettext_lazy("Every restore into this Database masks them before anybody can read it, or fails."),
            ("masking",),
        ),
    )

    masking = RulesField(
        label=gettext_lazy("Rules"),
        help_text=gettext_lazy(
            "One a line: table, column, method and its value, such as public.customers email fake email. "
            "The methods are null, fixed VALUE, hash, and fake with email, name, phone or text. "
            "Words with spaces stand in quotes."
        ),
    )

    def __init__(self, data: Any, *, database: Database) -> None:
        super().__init__(data, initial={"masking": masking_of(database)})

    def _refuse(self, name: str, text: str) -> None:
        """The service names the rule (`masking.3.column`); here it is a line of the one box."""
        if name.startswith("masking."):
            number = name.split(".")[1]
            name, text = "masking", _("Rule %(number)s: %(text)s") % {"number": int(number) + 1, "text": text}
        super()._refuse(name, text)


def can_mask(database: Database) -> bool:
    return "masking" in registry.engine_class(database.engine).supports


def masking_page(admin: Any, request: HttpRequest, database: Database) -> HttpResponse:
    form = MaskingForm(posted(request), database=database)

    def save() -> Database:
        save_masking(database=database, rules=form.cleaned_data["masking"], user=request.user)
        return database

    title = _("Masking of restores into %(name)s") % {"name": database.name}
    page: HttpResponse = admin.form_page(request, form=form, save=save, existing=database, title=title)
    return page
