"""Where artefacts live, and which Databases name it."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from databases.models import Database, slug
from jobs.fields import EncryptedJSONField
from jobs.identifiers import make_id


def make_destination_id() -> str:
    return make_id("dst")


class Destination(models.Model):
    """Where artefacts live: a folder, or a prefix of a bucket."""

    class Kind(models.TextChoices):
        LOCAL = "local", _("local disk")
        S3 = "s3", _("S3")

    class ServerSideEncryption(models.TextChoices):
        AES256 = "AES256", "AES256"
        KMS = "aws:kms", "aws:kms"

    class ObjectLock(models.TextChoices):
        GOVERNANCE = "GOVERNANCE", _("governance")
        COMPLIANCE = "COMPLIANCE", _("compliance")

    class Addressing(models.TextChoices):
        AUTO = "auto", _("automatic")
        PATH = "path", _("path")
        VIRTUAL = "virtual", _("virtual host")

    id = models.CharField(primary_key=True, max_length=63, default=make_destination_id, validators=[slug])
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=5, choices=Kind.choices)
    is_default = models.BooleanField(default=False, help_text=_("Used by every Database that names no destination."))
    queue = models.CharField(
        max_length=63, blank=True, help_text=_("Worker queue of the host that has this folder; empty when all have.")
    )

    path = models.CharField(max_length=1024, blank=True, help_text=_("Absolute path of the folder."))
    reserve_bytes = models.BigIntegerField(
        default=1 << 30, help_text=_("Free space that a backup must leave on the disk, in bytes.")
    )

    bucket = models.CharField(max_length=255, blank=True)
    prefix = models.CharField(max_length=512, blank=True)
    endpoint_url = models.URLField(max_length=512, blank=True, help_text=_("Empty for AWS."))
    region = models.CharField(max_length=63, blank=True)
    access_key = models.CharField(max_length=255, blank=True, help_text=_("Empty to use the host's own role."))
    secrets = EncryptedJSONField(default=dict, editable=False)  # {"secret_key": ...}
    has_secret_key = models.BooleanField(default=False, editable=False)
    ca = models.TextField(blank=True, help_text=_("Certificates (PEM) to trust instead of the system's."))
    storage_class = models.CharField(max_length=63, blank=True)
    server_side_encryption = models.CharField(max_length=10, blank=True, choices=ServerSideEncryption.choices)
    kms_key_id = models.CharField(max_length=2048, blank=True)
    addressing = models.CharField(max_length=7, choices=Addressing.choices, default=Addressing.AUTO)
    object_lock_mode = models.CharField(
        max_length=10,
        blank=True,
        choices=ObjectLock.choices,
        help_text=_("Until its days are over, the store deletes for nobody."),
    )
    object_lock_days = models.PositiveIntegerField(null=True, blank=True)
    off_site = models.BooleanField(default=False, help_text=_("Lies at another place than the Databases it is for."))
    managed = models.BooleanField(default=False, editable=False)  # comes from config.yaml
    looked_at = models.DateTimeField(null=True, editable=False)  # when it was last looked whether it can be used
    unread_since = models.DateTimeField(null=True, editable=False)  # when it was told that copies are unread
    fault = models.CharField(max_length=63, blank=True, editable=False)  # code of what was found; empty when in order
    free_bytes = models.BigIntegerField(null=True, editable=False)  # as last seen; null where the store has no figure
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("destination")
        verbose_name_plural = _("destinations")
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="backups_one_default_destination"
            )
        ]

    def __str__(self) -> str:
        return self.name


class DatabaseDestination(models.Model):
    """Which destinations a Database names, in order; the first is primary."""

    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="placements")
    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="placements")
    position = models.PositiveSmallIntegerField(default=0)
    retention_days = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Delete copies here after so many days, while another one is left.")
    )  # null = as long as the backup
    named_at = models.DateTimeField(default=timezone.now, editable=False)

    # What the last look found; null = to be looked at in the next round.
    looked_at = models.DateTimeField(null=True, editable=False)
    lacking = models.PositiveIntegerField(default=0, editable=False)  # backups that should have a copy here and do not
    lacking_since = models.DateTimeField(null=True, editable=False)  # of the one that has waited longest
    told_at = models.DateTimeField(null=True, editable=False)  # when it was told that this one is behind

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["database", "destination"], name="backups_destination_named_once"),
            models.UniqueConstraint(fields=["database", "position"], name="backups_destination_position"),
        ]

    def __str__(self) -> str:
        return f"{self.database_id} -> {self.destination_id}"
