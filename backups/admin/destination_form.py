"""The form of a destination: made for one kind, with only the fields that kind has."""

from typing import Any

from django import forms
from django.db import models
from django.utils.translation import gettext_lazy as _

from backups.models import Destination
from jobs.admin.forms import KEEP, PageForm, SecretField, Section

LOCAL = ("path", "reserve_bytes")
S3_PLACE = ("bucket", "prefix", "endpoint_url", "region", "addressing")
S3_RIGHTS = ("access_key", "secret_key", "ca")
S3_OBJECTS = ("storage_class", "server_side_encryption", "kms_key_id")
S3_LOCK = ("object_lock_mode", "object_lock_days")
WORDS = {
    "name": _("Name"),
    "id": _("Id"),
    "is_default": _("Default"),
    "off_site": _("Off-site"),
    "queue": _("Queue"),
    "path": _("Path"),
    "reserve_bytes": _("Bytes to keep free"),
    "bucket": _("Bucket"),
    "prefix": _("Prefix"),
    "endpoint_url": _("Endpoint URL"),
    "region": _("Region"),
    "addressing": _("Addressing"),
    "access_key": _("Access key"),
    "secret_key": _("Secret key"),
    "ca": _("CA certificates"),
    "storage_class": _("Storage class"),
    "server_side_encryption": _("Server-side encryption"),
    "kms_key_id": _("KMS key"),
    "object_lock_mode": _("Object Lock mode"),
    "object_lock_days": _("Object Lock days"),
}
HELD = _(
    "The bucket needs Object Lock, which is chosen when it is made. Retention leaves alone what the store still holds."
)


class DestinationForm(PageForm):
    """Made for one kind, from the model's own fields."""

    def __init__(self, *args: Any, kind: str, destination: Destination | None = None, **kwargs: Any) -> None:
        self.kind = kind
        self.destination = destination
        names = ["name", "is_default", "off_site", "queue"]
        names += list(LOCAL) if kind == Destination.Kind.LOCAL else [*S3_PLACE, *S3_RIGHTS, *S3_OBJECTS, *S3_LOCK]
        if destination is None:
            names.insert(1, "id")
        self.names = names
        kwargs.setdefault("initial", {name: getattr(destination, name, None) for name in names} if destination else {})
        super().__init__(*args, **kwargs)
        for name in names:
            if name == "secret_key":
                self.fields[name] = SecretField(is_set=bool(destination and destination.has_secret_key))
            else:
                self.fields[name] = _model_field(name)
        if "id" in self.fields:
            self.fields["id"] = forms.CharField(
                required=False, max_length=63, help_text=_("Never changes. Empty: one is made.")
            )
        for name in WORDS.keys() & self.fields.keys():
            self.fields[name].label = WORDS[name]
        self.sections: tuple[Section, ...] = (
            (_("Destination"), "", ("name", "id", "is_default", "off_site", "queue")),
            (_("Folder"), "", LOCAL),
            (_("Bucket"), "", S3_PLACE),
            (_("Access"), "", S3_RIGHTS),
            (_("Objects"), "", S3_OBJECTS),
            (_("Object Lock"), HELD, S3_LOCK),
        )

    def values(self) -> dict[str, Any]:
        values = {name: self.cleaned_data[name] for name in self.names if self.cleaned_data[name] is not KEEP}
        if not values.get("id"):
            values.pop("id", None)
        return values if self.destination else {**values, "kind": self.kind}


def _model_field(name: str) -> forms.Field:
    """The form field that the model's own column would have."""
    more: dict[str, Any] = {"assume_scheme": "https"} if name == "endpoint_url" else {}
    field = _column(name).formfield(**more)
    assert field is not None
    return field


def _column(name: str) -> "models.Field[Any, Any]":
    column = Destination._meta.get_field(name)
    assert isinstance(column, models.Field)
    return column
