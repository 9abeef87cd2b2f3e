"""Backups that are not like those before them, and what somebody said of each."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from backups.models.backup import Backup, database_key


class Anomaly(models.Model):
    """The mark of one backup. Until `ended_at` nothing of its Database is pruned."""

    class State(models.TextChoices):
        OPEN = "open", _("to be looked at")
        RIGHT = "right", _("said to be right")
        WRONG = "wrong", _("said to be wrong")
        PASSED = "passed", _("passed")  # what came after it was said to be right

    backup = models.OneToOneField(Backup, primary_key=True, on_delete=models.CASCADE, related_name="anomaly")
    database = database_key(related_name="marks")
    state = models.CharField(max_length=6, choices=State.choices, default=State.OPEN)
    findings = models.JSONField(default=list)  # mappings of `backups.anomalies.Finding`, the worst first
    found_at = models.DateTimeField(default=now)
    said_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    said_by_name = models.CharField(max_length=150, blank=True)
    said_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    ended_by_name = models.CharField(max_length=150, blank=True)
    ended_at = models.DateTimeField(null=True)
    ended_note = models.TextField(blank=True)

    class Meta:
        verbose_name = _("anomaly")
        verbose_name_plural = _("anomalies")
        ordering: ClassVar[list[str]] = ["-found_at", "-backup"]
        indexes: ClassVar[list[Any]] = [
            models.Index(fields=["database", "-found_at"], name="backups_anomalies_held", condition=Q(ended_at=None)),
            models.Index(fields=["database", "state"], name="backups_anomalies_said"),
        ]

    def __str__(self) -> str:
        return str(self.backup_id)

    @property
    def holds(self) -> bool:
        return self.ended_at is None
