"""What became of each due time, and when retention last looked."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from backups.models.backup import Backup
from databases.models import Database


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
