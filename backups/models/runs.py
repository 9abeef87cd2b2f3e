"""The runs that read a backup: restores, verifications, copies to further destinations."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from backups.models.backup import Backup, database_key
from backups.models.destination import Destination
from jobs.fields import EncryptedJSONField
from jobs.identifiers import make_id
from jobs.models import OPEN, Job, Status


def make_restore_id() -> str:
    return make_id("rst")


def make_verification_id() -> str:
    return make_id("vrf")


def make_copy_id() -> str:
    return make_id("cpy")


class Restore(Job):
    """One run that puts a backup back into a target Database."""

    kind = "restore"

    id = models.CharField(primary_key=True, max_length=40, default=make_restore_id, editable=False)
    backup = models.ForeignKey(Backup, null=True, on_delete=models.SET_NULL, related_name="restores")
    backup_label = models.CharField(max_length=40)  # the backup's id, kept when the backup is gone
    target = database_key(related_name="restores")
    target_name = models.CharField(max_length=200)
    destination = models.ForeignKey(  # of the copy to read; null = the nearest good one
        Destination, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    masking = models.JSONField(default=list, blank=True)  # the target's rules, as they were when it was asked for
    drop_existing = models.BooleanField(default=False)
    delete_extra = models.BooleanField(default=False)
    include = models.JSONField(default=list, blank=True)
    identity = EncryptedJSONField(null=True, editable=False)  # an age secret key; erased when the run ends
    report = models.JSONField(default=dict, blank=True)
    uploads = models.JSONField(default=dict, editable=False)  # that it has open in its target: what the engine noted

    class Meta:
        verbose_name = _("restore")
        verbose_name_plural = _("restores")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["target"], condition=Q(status=Status.IN_PROGRESS), name="backups_one_restore_per_target"
            )
        ]


class Verification(Job):
    """One run that reads every copy of a backup again: sizes, digests, structure."""

    kind = "verification"

    class Trigger(models.TextChoices):
        MANUAL = "manual", _("manual")
        SCHEDULE = "schedule", _("schedule")

    id = models.CharField(primary_key=True, max_length=40, default=make_verification_id, editable=False)
    backup = models.ForeignKey(Backup, null=True, on_delete=models.SET_NULL, related_name="verifications")
    backup_label = models.CharField(max_length=40)
    trigger = models.CharField(max_length=8, choices=Trigger.choices, default=Trigger.MANUAL)
    destination = models.ForeignKey(  # of the copy to read; null = every copy
        Destination, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    identity = EncryptedJSONField(null=True, editable=False)
    report = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("verification")
        verbose_name_plural = _("verifications")
        ordering = ["-created_at", "-id"]


class CopyJob(Job):
    """One run that fills a further destination of a backup from a copy that is there."""

    kind = "copy"

    class Trigger(models.TextChoices):
        PLACEMENT = "placement", _("named by the Database")
        REPLACEMENT = "replacement", _("in place of a damaged copy")
        MANUAL = "manual", _("manual")

    id = models.CharField(primary_key=True, max_length=40, default=make_copy_id, editable=False)
    backup = models.ForeignKey(Backup, null=True, on_delete=models.SET_NULL, related_name="copy_jobs")
    backup_label = models.CharField(max_length=40)
    trigger = models.CharField(max_length=11, choices=Trigger.choices, default=Trigger.PLACEMENT)
    destination = models.ForeignKey(Destination, null=True, on_delete=models.SET_NULL, related_name="copy_jobs")
    destination_label = models.CharField(max_length=63)
    source = models.ForeignKey(  # read from; null = the nearest good copy, written when it is known
        Destination, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        verbose_name = _("copy")
        verbose_name_plural = _("copies")
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["status", "destination"], name="backups_copy_jobs_of_place")]
        constraints = [
            models.UniqueConstraint(
                fields=["backup", "destination"], condition=Q(status__in=OPEN), name="backups_one_copy_job_per_place"
            )
        ]
