"""Forms that ask for a restore or a verification."""

from typing import Any

from django import forms
from django.conf import settings

from backups.models import Backup
from databases.models import Database
from jobs.admin.forms import KEEP, LinesField, PageForm, SecretField


class KeyForm(PageForm):
    """Asks for the age secret key of an encrypted backup."""

    def __init__(self, *args: Any, backup: Backup, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if backup.encryption == "age":
            held = bool(settings.BACKUPSITE_AGE_IDENTITIES)
            self.fields["identity"] = SecretField(
                label="age secret key",
                help_text="Empty: the site's own key. "
                if held
                else "This site holds no key for it. A key given here is kept encrypted and erased when the run ends.",
            )

    def identity(self) -> str:
        given = self.cleaned_data.get("identity", KEEP)
        return "" if given is KEEP else given


class VerifyForm(KeyForm):
    sections = (("Key", "", ("identity",)),)


class LabelForm(PageForm):
    sections = (("Label", "", ("label",)),)

    label = forms.CharField(required=False, max_length=200, help_text="What this backup is for; found by search.")


class RestoreForm(KeyForm):
    """The target's id is typed again: a restore writes into it."""

    sections = (
        ("Where to", "", ("target", "drop_existing")),
        ("What", "", ("include", "identity")),
        ("Confirm", "", ("confirm",)),
    )

    target = forms.ModelChoiceField(queryset=Database.objects.none(), empty_label="Choose a Database")
    drop_existing = forms.BooleanField(
        required=False,
        label="Empty the target first",
        help_text="Removes what the target holds before the restore. Without it a target that holds tables is refused.",
    )
    include = LinesField(label="Only these tables", help_text="One a line, like public.orders. Empty: everything.")
    confirm = forms.CharField(
        label="Id of the target", help_text="Type the target's id, to show that you mean it.", strip=True
    )

    def __init__(self, *args: Any, backup: Backup, **kwargs: Any) -> None:
        super().__init__(*args, backup=backup, **kwargs)
        target = self.fields["target"]
        assert isinstance(target, forms.ModelChoiceField)
        target.queryset = Database.objects.filter(engine=backup.engine)
        target.label_from_instance = lambda database: f"{database.name} ({database.pk})"  # type: ignore[method-assign, assignment]
        if backup.manifest.get("engine", {}).get("format") == "plain":
            del self.fields["include"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        target, confirm = data.get("target"), data.get("confirm")
        if target and confirm and confirm != target.pk:
            self.add_error("confirm", f"Repeat the id of the target: {target.pk}.")
        return data

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "target": data["target"],
            "drop_existing": data["drop_existing"],
            "include": data.get("include", []),
            "confirm": data["confirm"],
            "identity": self.identity(),
        }
