"""What every room's object at a Destination has in common, beside the copies of backups."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from backups.models.backup import Copy
from backups.models.destination import Destination


class StoredObject(models.Model):
    """One object at a Destination. The row exists before the first byte and until the object is really gone."""

    class State(models.TextChoices):
        WRITING = "writing", _("writing")
        STORED = "stored", _("stored")
        DELETING = "deleting", _("deleting")

    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="+")
    attempt = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=1024)
    upload_id = models.CharField(max_length=1024, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WRITING, db_index=True)
    readback = models.CharField(max_length=8, blank=True, choices=Copy.Readback.choices)
    error = models.TextField(blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.key

    @property
    def keys(self) -> tuple[str, ...]:
        """What lies at the Destination because of this row: the object, and what belongs to it."""
        return (self.key,)
