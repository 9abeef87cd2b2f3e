"""Forms that ask for a restore, a verification, or a part of a Database."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backups.models import Backup, Copy, Destination
from backups.selectors import collections_of
from databases.admin.words import words_of
from databases.engines import registry
from databases.models import Database
from jobs.admin.forms import KEEP, LinesField, PageForm, SecretField
from jobs.errors import BackupError

LABEL = gettext_lazy("What this backup is for; found by search.")


class KeyForm(PageForm):
    """Asks for the age secret key of an encrypted backup."""

    def __init__(self, *args: Any, backup: Backup, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if backup.encryption == "age":
            held = bool(settings.BACKUPSITE_AGE_IDENTITIES)
            self.fields["identity"] = SecretField(
                label=_("age secret key"),
                help_text=_("Empty: the site's own key.")
                if held
                else _(
                    "This site holds no key for it. A key given here is kept encrypted and erased when the run ends."
                ),
            )

    def identity(self) -> str:
        given = self.cleaned_data.get("identity", KEEP)
        return "" if given is KEEP else given


class CopyChoiceForm(KeyForm):
    """Asks which copy is read, where there is more than one."""

    any_copy: ClassVar[Any]  # a text that is translated late

    def __init__(self, *args: Any, backup: Backup, **kwargs: Any) -> None:
        super().__init__(*args, backup=backup, **kwargs)
        places = Destination.objects.filter(copies__backup=backup, copies__state=Copy.State.STORED).distinct()
        if places.count() > 1:
            self.fields["destination"] = forms.ModelChoiceField(
                queryset=places, required=False, label=_("Copy at"), empty_label=self.any_copy
            )

    def copy_at(self) -> Destination | None:
        chosen: Destination | None = self.cleaned_data.get("destination")
        return chosen


class VerifyForm(CopyChoiceForm):
    sections = ((gettext_lazy("What"), "", ("destination", "identity")),)
    any_copy = gettext_lazy("every copy")


class LabelForm(PageForm):
    sections = ((gettext_lazy("Label"), "", ("label",)),)

    label = forms.CharField(required=False, max_length=200, label=gettext_lazy("Label"), help_text=LABEL)


class SelectiveForm(PageForm):
    """Which part of a Database a backup is of."""

    sections = ((gettext_lazy("What"), "", ("include", "exclude", "label")),)

    include = LinesField(label=gettext_lazy("Only these {items}"), help_text=gettext_lazy("One a line{example}."))
    exclude = LinesField(label=gettext_lazy("Not these {items}"), help_text=gettext_lazy("One a line."))
    label = forms.CharField(required=False, max_length=200, label=gettext_lazy("Label"), help_text=LABEL)

    def __init__(self, *args: Any, database: Database, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        speak_of(self, database.engine)
        if names := collections_of(database):
            self.fields["include"].help_text = _("One a line, of: %(names)s.") % {"names": ", ".join(names)}

    def values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("include", "exclude", "label")}


def speak_of(form: PageForm, kind: str) -> None:
    """Puts the engine's own words into labels and help."""
    words = words_of(kind)
    for field in form.fields.values():
        field.label = str(field.label).format(**words) if field.label else field.label
        field.help_text = str(field.help_text).format(**words)


def _something_in(backup: Backup) -> str:
    """A name that a request for this backup could include."""
    manifest = backup.manifest.get("engine", {})
    named = manifest.get("collections") or manifest.get("counts") or [registry.engine_class(backup.engine).example]
    return str(next(iter(named)))


def _restorable(backup: Backup, *, include: Sequence[str] = (), delete_extra: bool = False) -> bool:
    engine, manifest = registry.engine_class(backup.engine), backup.manifest.get("engine", {})
    try:
        engine.require_restorable(manifest, include=include, delete_extra=delete_extra)
    except BackupError:
        return False
    return True


class RestoreForm(CopyChoiceForm):
    """The target's id is typed again: a restore writes into it."""

    sections = (
        (gettext_lazy("Where to"), "", ("target",)),
        (gettext_lazy("What"), "", ("include", "drop_existing", "delete_extra", "destination")),
        (gettext_lazy("Confirm"), "", ("identity", "confirm")),
    )

    any_copy = gettext_lazy("the nearest good one")
    target = forms.ModelChoiceField(queryset=Database.objects.none(), label=gettext_lazy("Target"))
    drop_existing = forms.BooleanField(
        required=False,
        label=gettext_lazy("Replace what the target holds"),
        help_text=gettext_lazy("Without it a target that holds {items} is refused, and nothing of it is touched."),
    )
    delete_extra = forms.BooleanField(
        required=False,
        label=gettext_lazy("Also delete what the backup does not hold"),
        help_text=gettext_lazy("The target then holds these {items} and no others."),
    )
    include = LinesField(
        label=gettext_lazy("Only these {items}"), help_text=gettext_lazy("One a line{example}. Empty: everything.")
    )
    confirm = forms.CharField(
        label=gettext_lazy("Id of the target"),
        help_text=gettext_lazy("Type the target's id, to show that you mean it."),
        strip=True,
    )

    def __init__(self, *args: Any, backup: Backup, **kwargs: Any) -> None:
        super().__init__(*args, backup=backup, **kwargs)
        target = self.fields["target"]
        assert isinstance(target, forms.ModelChoiceField)
        target.queryset = Database.objects.filter(engine=backup.engine)
        target.label_from_instance = lambda database: f"{database.name} ({database.pk})"  # type: ignore[method-assign, assignment]
        speak_of(self, backup.engine)
        if not _restorable(backup, include=[_something_in(backup)]):
            del self.fields["include"]
        if not _restorable(backup, delete_extra=True):
            del self.fields["delete_extra"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        target, confirm = data.get("target"), data.get("confirm")
        if target and confirm and confirm != target.pk:
            self.add_error("confirm", _("Repeat the id of the target: %(target)s.") % {"target": target.pk})
        return data

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "target": data["target"],
            "drop_existing": data["drop_existing"],
            "include": data.get("include", []),
            "delete_extra": data.get("delete_extra", False),
            "confirm": data["confirm"],
            "identity": self.identity(),
            **({"destination": place} if (place := self.copy_at()) else {}),
        }
