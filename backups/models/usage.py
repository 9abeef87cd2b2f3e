"""How much lies at each destination, day by day: what is there now is counted, what was there cannot be afterwards."""

from django.db import models

from backups.models.destination import Destination


class Usage(models.Model):
    """What a destination holds at the end of a day (UTC), packages and exports included; of today as last counted."""

    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="usage")
    day = models.DateField()
    stored_bytes = models.BigIntegerField()
    copies = models.PositiveIntegerField()
    counted_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "usage"
        ordering = ["day"]
        constraints = [models.UniqueConstraint(fields=["destination", "day"], name="backups_usage_once_a_day")]

    def __str__(self) -> str:
        return f"{self.destination_id} {self.day}"
