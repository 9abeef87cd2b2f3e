"""The audit: one row for each thing that somebody did. No row is changed, and only a purge removes old ones.

The site database holds that rule too, by triggers (`audit.triggers`): it is not only this module's good will.
"""

from typing import Any, NoReturn

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class AuditIsAppendOnly(TypeError):
    """Somebody's code tries to change or remove an entry: a defect."""


class Entries(models.QuerySet["Entry"]):
    def update(self, **values: Any) -> NoReturn:
        raise AuditIsAppendOnly("Entries of the audit are not changed.")

    def bulk_update(self, *args: Any, **values: Any) -> NoReturn:
        raise AuditIsAppendOnly("Entries of the audit are not changed.")

    def delete(self) -> NoReturn:
        raise AuditIsAppendOnly("Entries of the audit are not removed: purge_entries lets go of old ones.")


class Entry(models.Model):
    """What one request or command did, or was refused. Names are copied, so that it reads the same for ever."""

    class Via(models.TextChoices):
        ADMIN = "admin", _("admin")
        TOKEN = "token", _("API token")
        KEY = "key", _("API key")
        COMMAND = "command", _("command")
        SITE = "site", _("site")

    class Outcome(models.TextChoices):
        DONE = "done", _("done")
        REFUSED = "refused", _("refused")
        FAILED = "failed", _("failed")

    at = models.DateTimeField(_("time"), default=timezone.now, db_index=True)
    user_id = models.BigIntegerField(null=True)  # no foreign key: that would change a row when its user goes
    who = models.CharField(_("who"), max_length=150, blank=True)
    role = models.CharField(_("role"), max_length=8, blank=True)
    via = models.CharField(_("via"), max_length=8, choices=Via.choices)
    through = models.CharField(max_length=200, blank=True)  # the key's name, the command's, how the session began
    address = models.CharField(_("address"), max_length=63, blank=True)
    action = models.CharField(_("action"), max_length=100, db_index=True)  # "database.change", "login"
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=200, blank=True, db_index=True)
    object_name = models.CharField(max_length=200, blank=True)
    changes = models.JSONField(default=list)
    outcome = models.CharField(_("outcome"), max_length=7, choices=Outcome.choices)
    detail = models.CharField(max_length=300, blank=True)  # why it was refused or failed: a code, or a sentence

    objects = Entries.as_manager()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.object_name or self.object_id}".rstrip()

    def save(self, *args: Any, **values: Any) -> None:
        if not self._state.adding:
            raise AuditIsAppendOnly("Entries of the audit are not changed.")
        super().save(*args, **values)

    def delete(self, *args: Any, **values: Any) -> NoReturn:
        raise AuditIsAppendOnly("Entries of the audit are not removed: purge_entries lets go of old ones.")


class Purge(models.Model):
    """Up to which time entries were let go. The trigger lets nothing younger be removed."""

    before = models.DateTimeField()
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.before:%Y-%m-%d}"
