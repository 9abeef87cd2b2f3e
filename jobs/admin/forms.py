"""Forms of the admin: sections, widgets in the admin's dress, and secrets that are never shown again."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from unfold import widgets

from jobs.errors import BackupError

KEEP = object()  # a secret that the form leaves as it is
REMOVE = ""

Section = tuple[str | Promise, str | Promise, tuple[str, ...]]  # heading, introduction, names of fields


class SecretWidget(forms.Widget):
    """An empty box: what is typed replaces the secret, nothing typed leaves it as it is, a tick removes it."""

    template_name = "backupsite/secret.html"

    def __init__(self, *, is_set: bool = False, multiline: bool = False, removable: bool = True) -> None:
        super().__init__()
        self.is_set = is_set
        self.removable = removable
        self.multiline = multiline

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, None, attrs)
        classes = widgets.TEXTAREA_CLASSES if self.multiline else widgets.INPUT_CLASSES
        context["widget"] |= {
            "is_set": self.is_set,
            "removable": self.removable,
            "multiline": self.multiline,
            "input_classes": " ".join(classes),
            "checkbox_classes": " ".join(widgets.CHECKBOX_CLASSES),
        }
        return context

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        return render_to_string(
            self.template_name, self.get_context(name, value, attrs)
        )  # of the site, not of the forms

    def value_from_datadict(self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str) -> Any:
        if self.removable and data.get(f"{name}-remove"):
            return REMOVE
        return data.get(name) or KEEP


class SecretField(forms.Field):
    """Cleans to `KEEP`, `REMOVE` or the new secret."""

    widget: SecretWidget

    def __init__(self, *, is_set: bool = False, multiline: bool = False, removable: bool = True, **kwargs: Any) -> None:
        widget = SecretWidget(is_set=is_set, multiline=multiline, removable=removable)
        super().__init__(required=False, widget=widget, **kwargs)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return data is not KEEP


def pairs_of(text: str) -> dict[str, str]:
    """`Name: value`, one a line. Raises ValidationError that repeats no value: it may be a secret."""
    pairs: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if line.strip() and not (name and colon):
            raise ValidationError(_("Line %(n)s is not written as 'Name: value'.") % {"n": number})
        if name in pairs:
            raise ValidationError(_("Line %(n)s gives a name for the second time.") % {"n": number})
        if name:
            pairs[name] = value
    return pairs


class SecretPairsField(SecretField):
    """Cleans to `KEEP`, `REMOVE` or the new pairs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(multiline=True, **kwargs)

    def clean(self, value: Any) -> Any:
        return value if value in (KEEP, REMOVE) else pairs_of(value)


class LinesField(forms.CharField):
    """A list of strings, one a line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea(attrs={"rows": 2}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, (list, tuple)) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(list(initial or []) != self.to_python(data))


class PairsField(forms.CharField):
    """A mapping of texts, `Name: value` a line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea(attrs={"rows": 2}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(f"{name}: {text}" for name, text in value.items()) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        return pairs_of(super().to_python(value) or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or {}) != self.to_python(data))
        except ValidationError:
            return True


class PageForm(forms.Form):
    """A form in sections; a section's fields that do not exist are left out, and so is a section without any.

    `folded` fields stand under "More options" of their section, which is open when one of them says something.
    """

    sections: tuple[Section, ...] = ()
    folded: frozenset[str] = frozenset()
    shown_at: ClassVar[dict[str, str]] = {}  # a service's word for a fault -> the field that shows it
    must: frozenset[str] = frozenset()  # marked as required though a service, not the field, refuses them empty

    def in_sections(self) -> list[dict[str, Any]]:
        for field in self.fields.values():
            _dress(field.widget)
        found = []
        for heading, introduction, names in self.sections:
            shown = [self[name] for name in names if name in self.fields and name not in self.folded]
            more = [self[name] for name in names if name in self.fields and name in self.folded]
            if shown or more:
                unfolded = any(bound.errors or self._says_something(bound) for bound in more)
                section = {"heading": heading, "introduction": introduction, "fields": shown}
                found.append({**section, "more": more, "unfolded": unfolded})
        return found

    def _says_something(self, bound: forms.BoundField) -> bool:
        """Whether a field holds another value than a new form would."""
        if isinstance(bound.field, SecretField):
            return bound.field.widget.is_set
        return bound.field.has_changed(bound.field.initial, bound.value())

    def save_through(self, call: Callable[[], Any]) -> Any:
        """Calls a service; its faults become the form's errors. None when it refused."""
        try:
            return call()
        except ValidationError as fault:
            faults = fault.message_dict if hasattr(fault, "error_dict") else {"__all__": fault.messages}
            for name, texts in faults.items():
                for text in texts:
                    self._refuse(name, text)
        except BackupError as error:
            self._refuse("id" if error.code == "id_taken" else "__all__", str(error))
        self.ask_secrets_again()
        return None

    def _refuse(self, name: str, text: str) -> None:
        name = self.shown_at.get(name, name)
        if name in self.fields:
            self.add_error(name, text)
        else:
            self.add_error(None, text if name == "__all__" else f"{name}: {text}")

    def ask_secrets_again(self) -> None:
        """A secret is not sent back to the browser, so a refused form must not look as if it held one."""
        for name, field in self.fields.items():
            if isinstance(field, SecretField) and field.widget.value_from_datadict(self.data, self.files, name) not in (
                KEEP,
                REMOVE,
            ):
                self.add_error(name, _("Type it again: secrets are not sent back to the browser."))


def _dress(widget: forms.Widget) -> None:
    """Gives a plain widget the classes of the admin's own."""
    classes: list[str] = []
    if isinstance(widget, forms.Textarea):
        classes = widgets.TEXTAREA_CLASSES
    elif isinstance(widget, forms.CheckboxInput):
        classes = widgets.CHECKBOX_CLASSES
    elif isinstance(widget, forms.Select):
        classes = widgets.SELECT_CLASSES
        widget.template_name = widgets.UnfoldAdminSelectWidget.template_name
    elif isinstance(widget, forms.widgets.Input) and not widget.is_hidden:
        classes = widgets.INPUT_CLASSES
    if classes:
        widget.attrs["class"] = " ".join(classes)
