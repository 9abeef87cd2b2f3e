"""The fields that a form makes of an engine's options, and how pages call them."""

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from databases.engines.option_fields import OptionField
from jobs.admin.forms import LinesField, PairsField, SecretField, SecretPairsField

LABELS = {
    "collection": gettext_lazy("Collection"),
    "method": gettext_lazy("Method"),
    "headers": gettext_lazy("Headers"),
    "token": gettext_lazy("Token"),
    "pagination": gettext_lazy("Pagination"),
    "include_collections": gettext_lazy("Include collections"),
    "exclude_collections": gettext_lazy("Exclude collections"),
    "format": gettext_lazy("Format"),
    "include_tables": gettext_lazy("Include tables"),
    "exclude_tables": gettext_lazy("Exclude tables"),
    "schemas": gettext_lazy("Schemas"),
    "counts": gettext_lazy("Counts"),
    "bucket": gettext_lazy("Bucket"),
    "prefix": gettext_lazy("Prefix"),
    "region": gettext_lazy("Region"),
    "access_key": gettext_lazy("Access key"),
    "secret_key": gettext_lazy("Secret key"),
    "addressing": gettext_lazy("Addressing"),
    "include": gettext_lazy("Include"),
    "exclude": gettext_lazy("Exclude"),
    "path": gettext_lazy("Path"),
    "sslmode": gettext_lazy("TLS mode"),
    "sslrootcert": gettext_lazy("TLS authorities"),
    "sslcert": gettext_lazy("Client certificate"),
    "sslkey": gettext_lazy("Client key"),
    "uri": gettext_lazy("Connection string"),
    "auth_source": gettext_lazy("Authentication database"),
    "replica_set": gettext_lazy("Replica set"),
    "tls": gettext_lazy("TLS"),
    "certificate_key": gettext_lazy("Client certificate and key"),
    "oplog": gettext_lazy("Oplog"),
    "endpoint_url": gettext_lazy("Endpoint"),
    "ca": gettext_lazy("TLS authorities"),
    "full_every": gettext_lazy("Incrementals in a chain"),
    "parallel": gettext_lazy("Connections"),
    "url": gettext_lazy("URL"),
    "auth": gettext_lazy("Signs in by"),
    "records_path": gettext_lazy("Path of the records"),
    "page_param": gettext_lazy("Parameter of the page"),
    "page_start": gettext_lazy("First page"),
    "page_size_param": gettext_lazy("Parameter of the size"),
    "page_size": gettext_lazy("Records a page"),
    "cursor_param": gettext_lazy("Parameter of the cursor"),
    "cursor_path": gettext_lazy("Path of the cursor"),
    "since_param": gettext_lazy("Parameter of the time"),
    "restore_url": gettext_lazy("URL of restores"),
    "restore_batch": gettext_lazy("Records a POST"),
    "max_bytes": gettext_lazy("Most bytes"),
    "max_pages": gettext_lazy("Most pages"),
    "timeout_s": gettext_lazy("Timeout in seconds"),
    "schema": gettext_lazy("Schema of the records"),
}
# What nearly everybody sets; everything else is folded away.
FIRST = frozenset(
    {
        *("format", "sslmode"),
        *("uri", "auth_source", "replica_set", "tls"),
        *("bucket", "prefix", "endpoint_url", "region", "access_key", "secret_key"),
        *("url", "collection", "headers", "auth", "token", "records_path", "pagination"),
    }
)
MULTILINE = frozenset({"sslrootcert", "sslcert", "sslkey", "ca", "certificate_key", "schema"})  # PEM text, JSON


def option_label(name: str) -> Any:
    return LABELS.get(name, name.replace("_", " ").capitalize())


def option_field(option: OptionField, *, is_set: bool) -> forms.Field:
    """The form field of one engine option, by its type."""
    said = gettext(option.help) if option.help else ""
    shared: dict[str, Any] = {"label": option_label(option.name), "help_text": said}
    multiline = option.name in MULTILINE
    if option.secret and option.type == "dict":
        return SecretPairsField(is_set=is_set, **shared)
    if option.secret:
        return SecretField(is_set=is_set, multiline=multiline, **shared)
    shared["initial"] = option.default
    if option.choices:
        choices = [(choice, choice) for choice in option.choices]
        return forms.ChoiceField(choices=choices, required="" not in option.choices, **shared)
    if option.type in PLAIN_FIELDS:
        return PLAIN_FIELDS[option.type](required=False, **shared)
    if option.type in LINE_FIELDS:
        return LINE_FIELDS[option.type](**shared)
    widget = forms.Textarea(attrs={"rows": 3}) if multiline else forms.TextInput()
    return forms.CharField(required=False, widget=widget, **shared)


PLAIN_FIELDS: dict[str, type[forms.Field]] = {
    "bool": forms.BooleanField,
    "int": forms.IntegerField,
    "float": forms.FloatField,
}
LINE_FIELDS: dict[str, type[LinesField | PairsField]] = {"list": LinesField, "dict": PairsField}
