"""What is protected: a Database, its connection and its policy."""

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from jobs.fields import EncryptedJSONField
from jobs.identifiers import make_id

slug = RegexValidator(
    r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$",
    _("Use 1 to 63 lower-case letters, digits, '-' and '_', beginning and ending with a letter or digit."),
)
RESERVED_IDS = frozenset({"doc", "create"})


def make_database_id() -> str:
    return make_id("db")


def default_encryption() -> str:
    """What BACKUPSITE_ENCRYPTION says, for Databases that do not say themselves."""
    return str(settings.BACKUPSITE_DEFAULT_ENCRYPTION)


def inherit() -> str:
    return "inherit"


class Compression(models.TextChoices):
    ZSTD = "zstd", "zstd"
    GZIP = "gzip", "gzip"
    NONE = "none", _("none")


class Encryption(models.TextChoices):
    NONE = "none", _("none")
    AGE = "age", "age"


class ScheduledType(models.TextChoices):
    FULL = "full", _("full")
    INCREMENTAL = "incremental", _("incremental")


class CatchUp(models.TextChoices):
    LATEST = "latest", _("the latest missed one")
    NONE = "none", _("none")


class Sensitivity(models.TextChoices):
    """From how large a change on a backup counts as unlike those before it."""

    OFF = "off", _("off")
    LOW = "low", _("large changes only")
    NORMAL = "normal", _("normal")
    HIGH = "high", _("small changes too")


def own_sensitivity() -> list[tuple[str, Any]]:
    return [("inherit", _("as the site's policy says")), *Sensitivity.choices]


def _keep(help_text: Any) -> Any:
    return models.PositiveIntegerField(null=True, blank=True, help_text=help_text)


def _limit(help_text: Any, default: int = 0) -> Any:
    return models.PositiveIntegerField(default=default, help_text=help_text)


class Policy(models.Model):
    """What a Database that does not say itself inherits: one row. For the numbers 0 is off."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    schedule = models.JSONField(null=True, blank=True)  # cron, list of crons, null = none
    jitter_s = _limit(_("Start scheduled backups up to this many seconds late, so that not all begin at once."))
    paused = models.BooleanField(default=False, help_text=_("No schedule starts a backup while this is set."))
    blackouts = models.JSONField(default=list, blank=True)  # windows in which no schedule starts a backup
    retention_days = _limit(_("Delete backups older than this many days."))
    max_backups = _limit(_("Keep at most this many backups of a Database."))
    keep_daily = _limit(_("Keep one backup for each of so many days."))
    keep_weekly = _limit(_("Keep one backup for each of so many weeks."))
    keep_monthly = _limit(_("Keep one backup for each of so many months."))
    keep_yearly = _limit(_("Keep one backup for each of so many years."))
    failed_days = _limit(_("Forget failed and cancelled backups after this many days."), default=30)
    compression = models.CharField(max_length=4, choices=Compression.choices, default=Compression.ZSTD)
    verify_within_days = _limit(_("Read every copy again within so many days."), default=30)
    drill_within_days = _limit(_("Tell of a Database that has no backup proven within so many days."))
    anomalies = models.CharField(
        max_length=6,
        choices=Sensitivity.choices,
        default=Sensitivity.NORMAL,
        help_text=_("Mark backups that are unlike those before them, and prune nothing until somebody has looked."),
    )
    managed = models.BooleanField(default=False, editable=False)  # comes from config.yaml
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "policy"

    def __str__(self) -> str:
        return "the site's policy"


class Database(models.Model):
    """A thing that is protected. For `retention_days` and its like null inherits the global value and 0 is off."""

    id = models.CharField(primary_key=True, max_length=63, default=make_database_id, validators=[slug])
    name = models.CharField(max_length=200)
    engine = models.CharField(max_length=20)
    host = models.CharField(max_length=255, blank=True)
    port = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    username = models.CharField(max_length=255, blank=True)
    database_name = models.CharField(max_length=255, blank=True)
    options = models.JSONField(default=dict, blank=True)  # of the engine, without the secret ones
    secrets = EncryptedJSONField(default=dict, editable=False)  # {"password": ..., "options": {...}}
    secret_names = models.JSONField(default=list, editable=False)  # which secrets are set, to be shown

    enabled = models.BooleanField(default=True)
    schedule = models.JSONField(null=True, blank=True, default=inherit)  # cron, list of crons, "inherit", null = none
    timezone = models.CharField(max_length=63, default="UTC")
    scheduled_since = models.DateTimeField(default=now, editable=False)  # the schedule as it is has no earlier due time
    scheduled_type = models.CharField(max_length=11, choices=ScheduledType.choices, default=ScheduledType.FULL)
    catch_up = models.CharField(max_length=6, choices=CatchUp.choices, default=CatchUp.LATEST)
    retention_days = _keep(_("Delete backups older than this many days."))
    max_backups = _keep(_("Keep at most this many backups."))
    keep_daily = _keep(_("Keep one backup for each of so many days."))
    keep_weekly = _keep(_("Keep one backup for each of so many weeks."))
    keep_monthly = _keep(_("Keep one backup for each of so many months."))
    keep_yearly = _keep(_("Keep one backup for each of so many years."))
    anomalies = models.CharField(
        max_length=7,
        choices=own_sensitivity,
        default=inherit,
        help_text=_("Mark backups that are unlike those before them, and prune nothing until somebody has looked."),
    )
    compression = models.CharField(max_length=4, choices=Compression.choices, default=Compression.ZSTD)
    compression_level = models.SmallIntegerField(null=True, blank=True)
    encryption = models.CharField(max_length=4, choices=Encryption.choices, default=default_encryption)
    encryption_recipients = models.JSONField(null=True, blank=True)  # null = the site's own recipients
    hooks = models.JSONField(
        default=dict, blank=True
    )  # {"pre": [[program, argument...]...], "post": ..., "timeout_s": n}
    package = models.BooleanField(default=False)
    queue = models.CharField(max_length=63, blank=True, validators=[RegexValidator(r"^[A-Za-z0-9_.-]+$")])
    managed = models.BooleanField(default=False, editable=False)  # comes from config.yaml
    built_in = models.BooleanField(default=False, editable=False)  # the site itself; its connection is kept in step
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("database")
        verbose_name_plural = _("databases")
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class MaskingRule(models.Model):
    """What a restore into this Database does to a column before anybody can read it."""

    class Method(models.TextChoices):
        NULL = "null", _("null")
        FIXED = "fixed", _("a fixed value")
        HASH = "hash", _("a hash")
        FAKE = "fake", _("a made-up value")

    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="masking_rules")
    item = models.CharField(max_length=255, help_text=_("Table or collection, as schema.table or database.collection."))
    column = models.CharField(max_length=255, help_text=_("Column, or path of a field."))
    method = models.CharField(max_length=5, choices=Method.choices)
    value = models.CharField(max_length=1000, blank=True, help_text=_("The fixed value, or what kind is made up."))

    class Meta:
        ordering = ["database", "item", "column"]
        constraints = [
            models.UniqueConstraint(fields=["database", "item", "column"], name="databases_column_masked_once")
        ]

    def __str__(self) -> str:
        return f"{self.item}.{self.column}"
