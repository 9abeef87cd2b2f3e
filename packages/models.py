"""Packages: what is asked for, what each one holds, where it is, and when they are made by themselves."""

from django.db import models
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from backups.artefact import sidecar_key
from backups.models import Backup, Destination, StoredObject
from jobs.identifiers import make_id
from jobs.models import Job, Status


def make_package_id() -> str:
    return make_id("pkg")


class Compression(models.TextChoices):
    ZIP = "zip", "zip"
    TAR_GZ = "tar.gz", "tar.gz"


class OnMissing(models.TextChoices):
    """What to do where a Database has no backup that can be read."""

    FAIL = "fail", _("fail")
    SKIP = "skip", _("leave it out and say so")


class Package(Job):
    """One run that put the newest completed backups of several Databases into one archive, or failed to."""

    kind = "package"

    class Trigger(models.TextChoices):
        MANUAL = "manual", _("manual")
        SCHEDULE = "schedule", _("schedule")
        CATCH_UP = "catch_up", _("catch-up")
        API = "api", "API"

    id = models.CharField(primary_key=True, max_length=40, default=make_package_id, editable=False)
    trigger = models.CharField(max_length=8, choices=Trigger.choices, default=Trigger.MANUAL)
    databases = models.JSONField(default=list, blank=True)  # ids asked for; none = every one with `package` on
    compression = models.CharField(max_length=6, choices=Compression.choices, default=Compression.ZIP)
    on_missing = models.CharField(max_length=4, choices=OnMissing.choices, default=OnMissing.SKIP)
    size = models.BigIntegerField(null=True, blank=True)
    md5 = models.CharField(max_length=32, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    manifest = models.JSONField(default=dict, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)  # when retention took it

    class Meta:
        verbose_name = _("package")
        verbose_name_plural = _("packages")
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="packages_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="packages_newest_by_status"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["status"], condition=Q(status=Status.IN_PROGRESS), name="packages_one_running"
            )
        ]


class PackageCopy(StoredObject):
    """A package at a destination."""

    package = models.ForeignKey(Package, on_delete=models.PROTECT, related_name="copies")

    class Meta:
        verbose_name_plural = "copies"
        constraints = [models.UniqueConstraint(fields=["package", "attempt"], name="packages_copy_once_per_attempt")]

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key, sidecar_key(self.key))


class PackageMember(models.Model):
    """One artefact in a package, or a Database that has none in it and why. Holds its backup while the run is open."""

    package = models.ForeignKey(Package, on_delete=models.CASCADE, related_name="members")
    position = models.PositiveIntegerField()
    database_id = models.CharField(max_length=63)
    database_name = models.CharField(max_length=200)
    backup = models.ForeignKey(Backup, null=True, on_delete=models.SET_NULL, related_name="packagings")
    backup_label = models.CharField(max_length=40, blank=True)  # the backup's id, kept when the backup is gone
    is_parent = models.BooleanField(default=False)  # what an incremental of the same Database builds on
    name = models.CharField(max_length=1100, blank=True)  # inside the archive
    size = models.BigIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    missing = models.TextField(blank=True)  # why it is not in the archive; empty when it is

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["package", "position"], name="packages_member_position")]

    def __str__(self) -> str:
        return self.name or self.database_id


class PackagePolicy(models.Model):
    """When packages are made and how long they are kept: one row. For the numbers 0 is off."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    schedule = models.JSONField(null=True, blank=True)  # cron, list of crons, null = none
    timezone = models.CharField(max_length=63, default="UTC")
    scheduled_since = models.DateTimeField(default=now, editable=False)  # the schedule as it is has no earlier due time
    compression = models.CharField(max_length=6, choices=Compression.choices, default=Compression.ZIP)
    on_missing = models.CharField(max_length=4, choices=OnMissing.choices, default=OnMissing.SKIP)
    retention_days = models.PositiveIntegerField(default=0, help_text=_("Delete packages older than this many days."))
    max_packages = models.PositiveIntegerField(default=0, help_text=_("Keep at most this many packages."))
    destination = models.ForeignKey(
        Destination, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )  # null = the default one
    managed = models.BooleanField(default=False, editable=False)  # comes from config.yaml
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "package policy"

    def __str__(self) -> str:
        return "the policy of packages"


class PackageSlot(models.Model):
    """One due time of the schedule, in UTC, with its outcome; at most one for each time."""

    class Outcome(models.TextChoices):
        REQUESTED = "requested", _("packaged")
        CAUGHT_UP = "caught_up", _("caught up")
        SKIPPED = "skipped", _("skipped")

    due_at = models.DateTimeField(unique=True)
    outcome = models.CharField(max_length=9, choices=Outcome.choices)
    reason = models.CharField(max_length=200, blank=True)
    package = models.ForeignKey(Package, null=True, on_delete=models.SET_NULL, related_name="slots")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-due_at"]

    def __str__(self) -> str:
        return f"{self.due_at:%Y-%m-%dT%H:%MZ}"
