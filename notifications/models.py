"""The outbox: events are written in the transaction of what they tell of, and delivered afterwards."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Severity(models.TextChoices):
    INFO = "info", _("info")
    WARNING = "warning", _("warning")
    ERROR = "error", _("error")


class Event(models.Model):
    """Something an operator may want to know: `kind` is a dotted word such as `backup.failed`."""

    kind = models.CharField(max_length=63, db_index=True)
    severity = models.CharField(max_length=7, choices=Severity.choices)
    subject_id = models.CharField(max_length=63)
    database_id = models.CharField(max_length=63, blank=True, db_index=True)
    message = models.TextField()
    hint = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id}"
