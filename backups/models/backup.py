"""Backups, and the artefacts they are at each destination."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from backups.models.destination import Destination
from databases.models import Compression, Database, Encryption
from jobs.fields import EncryptedJSONField
from jobs.identifiers import make_id
from jobs.models import Job, Status


def make_backup_id() -> str:
    return make_id("bkp")


def database_key(**kwargs: Any) -> Any:
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
    database = database_key(related_name="backups")
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

    copies_begun = models.PositiveIntegerField(default=0, editable=False)  # the last number that a copy's key was given

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
        verbose_name = _("backup")
        verbose_name_plural = _("backups")
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
    version_id = models.CharField(max_length=1024, blank=True)  # of the object, where its bucket has versions
    retain_until = models.DateTimeField(null=True, blank=True)  # the store deletes it for nobody before (Object Lock)
    locked = models.BooleanField(default=False)  # retention of its destination leaves it alone
    verified_at = models.DateTimeField(null=True, blank=True)
    tried_at = models.DateTimeField(null=True, editable=False)  # when it could not be read or deleted, the last time
    error = models.TextField(blank=True)

    class Meta:
        verbose_name = _("copy")
        verbose_name_plural = _("copies")
        indexes = [
            # Without it SQLite, which keeps no statistics, looks for a backup's good copies among all that are good.
            models.Index(fields=["backup", "state", "destination"], name="backups_copies_of_backup"),
            models.Index(  # the longest unread of a destination
                fields=["destination", "verified_at"],
                name="backups_copies_unread",
                condition=Q(state="stored") & ~Q(readback="checksum"),  # as `verify_due.readable` has it
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["backup", "destination", "attempt"], name="backups_copy_once_per_attempt")
        ]

    def __str__(self) -> str:
        return self.key
