"""The life cycle that Backup, Restore and every other run share, and the rows that run it."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """`scheduled -> pending -> in_progress -> completed | failed | cancelled`, `completed -> expired | deleting`."""

    SCHEDULED = "scheduled", _("scheduled")
    PENDING = "pending", _("pending")
    IN_PROGRESS = "in_progress", _("in progress")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")
    EXPIRED = "expired", _("expired")
    DELETING = "deleting", _("deleting")


OPEN = (Status.SCHEDULED, Status.PENDING, Status.IN_PROGRESS)


class Job(models.Model):
    """One run. The row is the truth: whoever holds `lease_token` may write it while it is in progress."""

    kind: ClassVar[str]  # the name it is registered under, and of its messages

    id = models.CharField(primary_key=True, max_length=40, editable=False)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.PENDING, db_index=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=1)
    queue = models.CharField(max_length=63, blank=True)
    scheduled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    worker = models.CharField(max_length=255, blank=True, editable=False)
    cancel_requested = models.BooleanField(default=False)

    phase = models.CharField(max_length=20, blank=True)
    bytes_done = models.BigIntegerField(default=0)
    bytes_total_estimate = models.BigIntegerField(null=True, blank=True)
    bytes_per_s = models.BigIntegerField(default=0)

    error_code = models.CharField(max_length=63, blank=True)
    error_message = models.TextField(blank=True)
    error_hint = models.TextField(blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.id

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def duration_s(self) -> float | None:
        """Seconds from the start of the last attempt to its end, or to now while it runs."""
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()


class LogLine(models.Model):
    """One line of a job's log, in the order of `id`."""

    job_kind = models.CharField(max_length=20)
    job_id = models.CharField(max_length=40)
    attempt = models.PositiveSmallIntegerField()
    at = models.DateTimeField(default=timezone.now)
    message = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["job_kind", "job_id", "id"], name="jobs_logline_job")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%dT%H:%M:%SZ} [{self.attempt}] {self.message}"


class PhaseTime(models.Model):
    """One phase that an attempt of a job went through, in the order of `number`; open while `ended_at` is null."""

    job_kind = models.CharField(max_length=20)
    job_id = models.CharField(max_length=40)
    attempt = models.PositiveSmallIntegerField()
    number = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=20)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    bytes_done = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job_kind", "job_id", "attempt", "number"], name="jobs_phase_once")
        ]

    def __str__(self) -> str:
        return f"{self.job_id} [{self.attempt}] {self.name}"


class Capacity(models.Model):
    """One row that every claim locks, so that the count of running jobs cannot be read by two claims at once."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    max_parallel_jobs = models.PositiveSmallIntegerField(null=True)  # None: as the setting says

    class Meta:
        verbose_name_plural = "capacity"

    def __str__(self) -> str:
        return "capacity"


class Process(models.Model):
    """A web process, worker, beat or sweeper that was alive at `seen_at`; the health figures read it."""

    name = models.CharField(primary_key=True, max_length=255)  # role@host:pid
    role = models.CharField(max_length=20)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("process")
        verbose_name_plural = _("processes")

    def __str__(self) -> str:
        return self.name


class Tally(models.Model):
    """A number that only grows, kept for the metrics: what rows that were deleted since have counted."""

    name = models.CharField(max_length=100)
    labels = models.CharField(max_length=255, blank=True)  # JSON, sorted
    value = models.FloatField(default=0)

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [models.UniqueConstraint(fields=["name", "labels"], name="jobs_tally_once")]

    def __str__(self) -> str:
        return f"{self.name}{self.labels}"


class Quota(models.Model):
    """How often a subject did something within a window of time."""

    subject = models.CharField(primary_key=True, max_length=64)  # SHA-256, see services/quota.py
    count = models.PositiveIntegerField(default=0)
    window_ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.subject[:8]} {self.count}"
