"""The fields that a Database of any engine has in its form."""

from django import forms
from django.utils.translation import gettext_lazy

from databases.models import (
    CatchUp,
    Compression,
    Database,
    Encryption,
    ScheduledType,
    default_encryption,
    own_sensitivity,
)
from databases.schedule import INHERIT
from jobs.admin.forms import LinesField, PageForm, SecretField

SCHEDULES = (
    (INHERIT, gettext_lazy("As the site's policy says")),
    ("own", gettext_lazy("At these times")),
    ("none", gettext_lazy("Only on demand")),
)


class DatabaseFields(PageForm):
    """An engine leaves out what it has no use for, and adds its options."""

    name = forms.CharField(max_length=200, label=gettext_lazy("Name"))
    id = forms.CharField(
        label=gettext_lazy("Id"),
        max_length=63,
        required=False,
        help_text=gettext_lazy(
            "Lower-case letters, digits, '-' and '_'; appears in file names and addresses, never changes. "
            "Empty: one is made."
        ),
    )
    host = forms.CharField(max_length=255, required=False, label=gettext_lazy("Host"))
    port = forms.IntegerField(min_value=1, max_value=65535, required=False, label=gettext_lazy("Port"))
    database_name = forms.CharField(max_length=255, required=False, label=gettext_lazy("Database"))
    username = forms.CharField(max_length=255, required=False, label=gettext_lazy("User"))
    password = SecretField(label=gettext_lazy("Password"))
    enabled = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("Enabled"),
        help_text=gettext_lazy("Without the tick it is paused: nothing backs it up."),
    )
    schedule = forms.ChoiceField(choices=SCHEDULES, initial=INHERIT, label=gettext_lazy("Schedule"))
    times = LinesField(label=gettext_lazy("Times"))
    timezone = forms.CharField(
        label=gettext_lazy("Timezone"),
        max_length=63,
        initial="UTC",
        help_text=gettext_lazy("The times are meant in this IANA timezone."),
    )
    scheduled_type = forms.ChoiceField(
        choices=ScheduledType.choices,
        initial=ScheduledType.FULL,
        label=gettext_lazy("Scheduled backups are"),
        help_text=gettext_lazy(
            "An incremental holds what is new or changed since the backup before it; "
            "a restore reads the whole chain, from its full backup on."
        ),
    )
    catch_up = forms.ChoiceField(
        choices=CatchUp.choices,
        initial=CatchUp.LATEST,
        label=gettext_lazy("Catch up"),
        help_text=gettext_lazy("What to do about times missed while nothing was running."),
    )
    retention_days = forms.IntegerField(min_value=0, required=False, label=gettext_lazy("Days to keep"))
    max_backups = forms.IntegerField(min_value=0, required=False, label=gettext_lazy("Backups to keep"))
    keep_daily = forms.IntegerField(min_value=0, required=False, label=gettext_lazy("Daily"))
    keep_weekly = forms.IntegerField(min_value=0, required=False, label=gettext_lazy("Weekly"))
    keep_monthly = forms.IntegerField(min_value=0, required=False, label=gettext_lazy("Monthly"))
    keep_yearly = forms.IntegerField(min_value=0, required=False, label=gettext_lazy("Yearly"))
    anomalies = forms.TypedChoiceField(
        choices=own_sensitivity,
        initial=INHERIT,
        required=False,
        empty_value=INHERIT,
        label=gettext_lazy("Unlike those before"),
        help_text=Database._meta.get_field("anomalies").help_text,
    )
    compression = forms.ChoiceField(
        choices=Compression.choices, initial=Compression.ZSTD, label=gettext_lazy("Compression")
    )
    compression_level = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=19,
        label=gettext_lazy("Level"),
        help_text=gettext_lazy("Empty: the compression's default."),
    )
    encryption = forms.ChoiceField(
        label=gettext_lazy("Encryption"),
        choices=Encryption.choices,
        initial=default_encryption,
        help_text=gettext_lazy(
            "With age only who holds a secret key can read the artefacts. Keep that key elsewhere too."
        ),
    )
    encryption_recipients = LinesField(
        label=gettext_lazy("Recipients"),
        help_text=gettext_lazy("age public keys, one a line. Empty: the site's own key."),
    )
    package = forms.BooleanField(
        required=False,
        label=gettext_lazy("Packages"),
        help_text=gettext_lazy("Its newest completed backup goes into every package."),
    )
    queue = forms.CharField(
        label=gettext_lazy("Queue"),
        max_length=63,
        required=False,
        help_text=gettext_lazy("Worker queue that runs this Database's jobs. Empty: any worker."),
    )
