"""What a second person has to agree to, and whether the keys are kept outside the site. Rows stay as an audit trail."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.fields import EncryptedJSONField
from jobs.identifiers import make_id


def make_approval_id() -> str:
    return make_id("apv")


class Approval(models.Model):
    """Something one person asked for and another one has to agree to before it is done."""

    class Action(models.TextChoices):
        RESTORE = "restore", _("restore over what the target holds")
        DELETE_BACKUP = "delete_backup", _("delete a backup")
        DELETE_DATABASE = "delete_database", _("delete a Database")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        APPROVED = "approved", _("approved")
        REFUSED = "refused", _("refused")
        WITHDRAWN = "withdrawn", _("withdrawn")
        EXPIRED = "expired", _("expired")
        FAILED = "failed", _("approved, but could not be done")

    id = models.CharField(primary_key=True, max_length=40, default=make_approval_id, editable=False)
    action = models.CharField(max_length=15, choices=Action.choices)
    subject_id = models.CharField(max_length=63)  # of the backup or Database
    target_id = models.CharField(max_length=63, blank=True)  # of the Database that a restore writes into
    parameters = EncryptedJSONField(null=True, editable=False)  # may hold an identity; erased with the decision
    summary = models.TextField()  # what will be done, in words, without secrets
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING, db_index=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    requested_by_name = models.CharField(max_length=150)
    requested_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_by_name = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True)
    outcome = models.TextField(blank=True)  # id of the job that was started, or why it could not be done

    class Meta:
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        ordering = ["-requested_at", "-id"]

    def __str__(self) -> str:
        return self.id


class KitDownload(models.Model):
    """Somebody took the recovery kit with the keys whose fingerprint this is."""

    fingerprint = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    by_name = models.CharField(max_length=150)

    class Meta:
        verbose_name = _("recovery kit")
        verbose_name_plural = _("recovery kits")
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%dT%H:%MZ}"
