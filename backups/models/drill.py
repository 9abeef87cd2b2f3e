"""Drills: when a Database is drilled, what is asked of it, and each run that proved a backup or did not."""

from django.db import models
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from backups.models.backup import Backup, database_key
from backups.models.destination import Destination
from databases.models import Database
from jobs.fields import EncryptedJSONField
from jobs.identifiers import make_id
from jobs.models import Job, Status


def make_drill_id() -> str:
    return make_id("drl")


class Pick(models.TextChoices):
    """Which of the kept backups a drill takes when none is named."""

    NEWEST = "newest", _("the newest")
    RANDOM = "random", _("one at random")


class DrillPlan(models.Model):
    """How a Database is drilled. Without a row: on demand, the newest backup, nothing asserted."""

    database = models.OneToOneField(Database, primary_key=True, on_delete=models.CASCADE, related_name="drill_plan")
    schedule = models.JSONField(null=True, blank=True)  # cron, list of crons, null = none; in the Database's timezone
    scheduled_since = models.DateTimeField(default=now, editable=False)  # the schedule as it is has no earlier due time
    pick = models.CharField(max_length=6, choices=Pick.choices, default=Pick.NEWEST)
    destination = models.ForeignKey(  # of the copy to read; null = the nearest good one
        Destination, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    server = models.ForeignKey(  # where the scratch target is made; null = what the engine makes by itself
        Database, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    assertions = models.JSONField(default=list, blank=True)  # [{"name", "query", "operator", "value"}]
    within_days = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Overdue when no backup was proven for so many days.")
    )  # null = as the policy says, 0 = never
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return str(self.database_id)


class Drill(Job):
    """One run that restores a backup into a scratch target, compares it with the manifest and tears it down."""

    kind = "drill"

    class Trigger(models.TextChoices):
        MANUAL = "manual", _("manual")
        SCHEDULE = "schedule", _("schedule")
        CATCH_UP = "catch_up", _("catch-up")
        API = "api", "API"

    id = models.CharField(primary_key=True, max_length=40, default=make_drill_id, editable=False)
    database = database_key(related_name="drills")
    database_name = models.CharField(max_length=200)
    backup = models.ForeignKey(Backup, null=True, on_delete=models.SET_NULL, related_name="drills")
    backup_label = models.CharField(max_length=40)
    trigger = models.CharField(max_length=8, choices=Trigger.choices, default=Trigger.MANUAL)
    destination = models.ForeignKey(Destination, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    server = models.ForeignKey(Database, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    assertions = models.JSONField(default=list, blank=True)
    scratch = models.CharField(max_length=255, blank=True)  # name of the scratch target, written before it is made
    identity = EncryptedJSONField(null=True, editable=False)  # an age secret key; erased when the run ends
    report = models.JSONField(default=dict, blank=True)
    signature = models.TextField(blank=True)  # of the report, base64

    class Meta:
        verbose_name = _("drill")
        verbose_name_plural = _("drills")
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["database", "-created_at", "-id"], name="backups_drills_of_database")]
        constraints = [
            models.UniqueConstraint(
                fields=["database"], condition=Q(status=Status.IN_PROGRESS), name="backups_one_drill_per_database"
            )
        ]

    @property
    def waits_for_identity(self) -> bool:
        """Its schedule came where nothing opens the backup: it begins when somebody gives the age secret key."""
        return self.status == Status.SCHEDULED and self.scheduled_at is None


class DrillSlot(models.Model):
    """One due time of a drill, in UTC, with its outcome; at most one per Database and time."""

    class Outcome(models.TextChoices):
        REQUESTED = "requested", _("drilled")
        CAUGHT_UP = "caught_up", _("caught up")
        SKIPPED = "skipped", _("skipped")

    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="drill_slots")
    due_at = models.DateTimeField()
    outcome = models.CharField(max_length=9, choices=Outcome.choices)
    reason = models.CharField(max_length=200, blank=True)
    drill = models.ForeignKey(Drill, null=True, on_delete=models.SET_NULL, related_name="slots")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-due_at"]
        constraints = [models.UniqueConstraint(fields=["database", "due_at"], name="backups_drill_slot_once")]

    def __str__(self) -> str:
        return f"{self.database_id} {self.due_at:%Y-%m-%dT%H:%MZ}"


class DrillOverdue(models.Model):
    """A Database of which it was told that no backup was proven in time; gone when one is."""

    database = models.OneToOneField(Database, primary_key=True, on_delete=models.CASCADE, related_name="drill_overdue")
    since = models.DateTimeField()

    class Meta:
        verbose_name_plural = "overdue drills"

    def __str__(self) -> str:
        return f"{self.database_id} {self.since:%Y-%m-%dT%H:%MZ}"
