"""What we promise about a Database: its backups, where they are, and the runs that read them."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from databases.models import Compression, Database, Encryption, slug
from jobs.fields import EncryptedJSONField
from jobs.identifiers import make_id
from jobs.models import Job, Status


def make_destination_id() -> str:
    return make_id("dst")


def make_backup_id() -> str:
    return make_id("bkp")


def make_restore_id() -> str:
    return make_id("rst")


def make_verification_id() -> str:
    return make_id("vrf")


class Destination(models.Model):
    """Where artefacts live: a folder, or a prefix of a bucket."""

    class Kind(models.TextChoices):
        LOCAL = "local", _("local disk")
        S3 = "s3", _("S3")

    class ServerSideEncryption(models.TextChoices):
        AES256 = "AES256", "AES256"
        KMS = "aws:kms", "aws:kms"

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
    managed = models.BooleanField(default=False, editable=False)  # comes from config.yaml
    looked_at = models.DateTimeField(null=True, editable=False)  # when it was last looked whether it can be used
    fault = models.CharField(max_length=63, blank=True, editable=False)  # code of what was found; empty when in order
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
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

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["database", "destination"], name="backups_destination_named_once"),
            models.UniqueConstraint(fields=["database", "position"], name="backups_destination_position"),
        ]

    def __str__(self) -> str:
        return f"{self.database_id} -> {self.destination_id}"


def _database_key(**kwargs: Any) -> Any:
    """A Database by id that outlives it: deleting a Database keeps its history."""
    return models.ForeignKey(Database, null=True, on_delete=models.DO_NOTHING, db_constraint=False, **kwargs)


class Backup(Job):
    """One run that produced, or failed to produce, one artefact."""

    kind = "backup"

    class Type(models.TextChoices):
        FULL = "full", _("full")
        INCREMENTAL = "incremental", _("incremental")
        SELECTIVE = "selective", _("selective")

    class Trigger(models.TextChoices):
        MANUAL = "manual", _("manual")
        SCHEDULE = "schedule", _("schedule")
        CATCH_UP = "catch_up", _("catch-up")
        API = "api", "API"
        PACKAGE = "package", _("package")
        DRILL = "drill", _("drill")

    id = models.CharField(primary_key=True, max_length=40, default=make_backup_id, editable=False)
    database = _database_key(related_name="backups")
    database_name = models.CharField(max_length=200)
    engine = models.CharField(max_length=20)
    type = models.CharField(max_length=11, choices=Type.choices, default=Type.FULL)
    trigger = models.CharField(max_length=8, choices=Trigger.choices, default=Trigger.MANUAL)
    label = models.CharField(max_length=200, blank=True)
    locked = models.BooleanField(default=False)
    expiring = models.BooleanField(
        default=False, editable=False
    )  # what is `deleting` ends as `expired`, not as nothing
    include = models.JSONField(default=list, blank=True)
    exclude = models.JSONField(default=list, blank=True)
    collection = models.CharField(max_length=200, blank=True)  # of a service, when it was asked for by name
    parent = models.ForeignKey(  # what an incremental builds on; set by its run, held while it may be read
        "self", null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="children"
    )
    index_identity = EncryptedJSONField(null=True, editable=False)  # opens its index here, without the private key

    compression = models.CharField(max_length=4, choices=Compression.choices, default=Compression.ZSTD)
    encryption = models.CharField(max_length=4, choices=Encryption.choices, default=Encryption.NONE)
    size = models.BigIntegerField(null=True, blank=True)
    original_size = models.BigIntegerField(null=True, blank=True)
    file_count = models.PositiveIntegerField(null=True, blank=True)
    md5 = models.CharField(max_length=32, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    original_blake3 = models.CharField(max_length=64, blank=True)
    manifest = models.JSONField(default=dict, blank=True)
    server_version = models.CharField(max_length=63, blank=True)
    tool_version = models.CharField(max_length=63, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    proven_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["database", "status", "-created_at"], name="backups_of_database"),
            models.Index(fields=["-created_at", "-id"], name="backups_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="backups_newest_by_status"),
            # The newest one of each Database, and its newest good and proven ones: lists of Databases ask for these.
            models.Index(fields=["database", "-created_at", "-id"], name="backups_newest_of_database"),
            models.Index(fields=["database", "status", "-finished_at"], name="backups_good_of_database"),
            models.Index(
                fields=["database", "-proven_at"],
                name="backups_proven_of_database",
                condition=Q(proven_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["database"], condition=Q(status=Status.IN_PROGRESS), name="backups_one_running_per_database"
            )
        ]


class Copy(models.Model):
    """An artefact at a destination. The row exists before the first byte and until the object is really gone."""

    class State(models.TextChoices):
        WRITING = "writing", _("writing")
        STORED = "stored", _("stored")
        QUARANTINED = "quarantined", _("quarantined")
        DELETING = "deleting", _("deleting")

    class Readback(models.TextChoices):
        """How the stored object was compared after the write."""

        FULL = "full", _("read again and compared")
        CHECKSUM = "checksum", _("the store's own checksums")

    backup = models.ForeignKey(Backup, on_delete=models.PROTECT, related_name="copies")
    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="copies")
    attempt = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=1024)
    upload_id = models.CharField(max_length=1024, blank=True)
    state = models.CharField(max_length=11, choices=State.choices, default=State.WRITING, db_index=True)
    readback = models.CharField(max_length=8, blank=True, choices=Readback.choices)
    verified_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "copies"
        constraints = [
            models.UniqueConstraint(fields=["backup", "destination", "attempt"], name="backups_copy_once_per_attempt")
        ]

    def __str__(self) -> str:
        return self.key


class Restore(Job):
    """One run that puts a backup back into a target Database."""

    kind = "restore"

    id = models.CharField(primary_key=True, max_length=40, default=make_restore_id, editable=False)
    backup = models.ForeignKey(Backup, null=True, on_delete=models.SET_NULL, related_name="restores")
    backup_label = models.CharField(max_length=40)  # the backup's id, kept when the backup is gone
    target = _database_key(related_name="restores")
    target_name = models.CharField(max_length=200)
    drop_existing = models.BooleanField(default=False)
    delete_extra = models.BooleanField(default=False)
    include = models.JSONField(default=list, blank=True)
    identity = EncryptedJSONField(null=True, editable=False)  # an age secret key; erased when the run ends
    report = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["target"], condition=Q(status=Status.IN_PROGRESS), name="backups_one_restore_per_target"
            )
        ]


class Verification(Job):
    """One run that reads every copy of a backup again: sizes, digests, structure."""

    kind = "verification"

    id = models.CharField(primary_key=True, max_length=40, default=make_verification_id, editable=False)
    backup = models.ForeignKey(Backup, null=True, on_delete=models.SET_NULL, related_name="verifications")
    backup_label = models.CharField(max_length=40)
    identity = EncryptedJSONField(null=True, editable=False)
    report = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]


class Retained(models.Model):
    """When retention last looked at the backups of a Database."""

    database = models.OneToOneField(Database, primary_key=True, on_delete=models.CASCADE, related_name="retained")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.database_id} {self.at:%Y-%m-%dT%H:%MZ}"


class Overdue(models.Model):
    """A Database of which it was told that it was due and has no good backup since; gone when it has one again."""

    database = models.OneToOneField(Database, primary_key=True, on_delete=models.CASCADE, related_name="overdue")
    due_at = models.DateTimeField()  # the newest due time that it was told for
    since = models.DateTimeField()  # the first one

    class Meta:
        verbose_name_plural = "overdue"

    def __str__(self) -> str:
        return f"{self.database_id} {self.due_at:%Y-%m-%dT%H:%MZ}"


class Slot(models.Model):
    """One due time of a schedule, in UTC, with its outcome; at most one per Database and time."""

    class Outcome(models.TextChoices):
        REQUESTED = "requested", _("backed up")
        CAUGHT_UP = "caught_up", _("caught up")
        SKIPPED = "skipped", _("skipped")

    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="slots")
    due_at = models.DateTimeField()
    outcome = models.CharField(max_length=9, choices=Outcome.choices)
    reason = models.CharField(max_length=200, blank=True)
    backup = models.ForeignKey(Backup, null=True, on_delete=models.SET_NULL, related_name="slots")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-due_at"]
        constraints = [models.UniqueConstraint(fields=["database", "due_at"], name="backups_slot_once")]

    def __str__(self) -> str:
        return f"{self.database_id} {self.due_at:%Y-%m-%dT%H:%MZ}"
