"""Note which rows change while something is being done, and which of their fields, by Django's signals.

A value is shown only when its field cannot hold a secret: short texts, numbers, times and choices whose name does not
speak of one. Of everything else the note says that it changed.
"""

import re
from datetime import date, datetime
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save

from audit.models import Entry, Purge
from audit.services.draft import Draft, current
from jobs.fields import EncryptedJSONField, Sealed

CHANGED = "changed"
SECRET = re.compile(r"passw|secret|token|key|digest|hash|credential|identit|private|signature|url|query|command|code")
SHOWN = (models.BooleanField, models.CharField, models.IntegerField, models.DateTimeField, models.FloatField)
LONGEST = 200
FORGOTTEN = frozenset({"created_at", "updated_at", "heartbeat_at", "last_login", "last_used_at"})
# Kept by the site itself, or a record of what happened, not what somebody set.
UNWATCHED = frozenset(
    {
        "jobs.logline", "jobs.process", "jobs.tally", "jobs.capacity", "jobs.quota",
        "notifications.event", "notifications.delivery", "api.idempotencykey", "accounts.session",
        "accounts.account", "accounts.recoverycode",
    }
)  # fmt: skip


def watch() -> None:
    pre_save.connect(_before, dispatch_uid="audit")
    post_save.connect(_saved, dispatch_uid="audit")
    post_delete.connect(_deleted, dispatch_uid="audit")
    m2m_changed.connect(_related, dispatch_uid="audit")


def _draft_for(sender: type[models.Model], raw: bool = False) -> Draft | None:
    draft = current()
    if draft is None or raw or sender in (Entry, Purge) or sender._meta.label_lower in UNWATCHED:
        return None
    return draft if sender in (User, Group) or _is_ours(sender) else None


def _is_ours(sender: type[models.Model]) -> bool:
    config = apps.app_configs.get(sender._meta.app_label)  # none of the rows in which migrations are noted
    path = config.module if config else None
    return path is not None and not path.__name__.startswith(("django.", "django_", "rest_framework", "unfold"))


def _before(sender: type[models.Model], instance: Any, raw: bool = False, **_: Any) -> None:
    if _draft_for(sender, raw) is not None:
        known = {} if instance._state.adding else sender._base_manager.filter(pk=instance.pk).values().first()
        instance._audit_before = known


def _saved(sender: type[models.Model], instance: Any, created: bool, raw: bool = False, **_: Any) -> None:
    draft = _draft_for(sender, raw)
    if draft is None:
        return
    before = instance.__dict__.pop("_audit_before", None) or {}
    if created:
        draft.note(_about(instance, "created"))
    elif fields := _differences(instance, before):
        draft.note({**_about(instance, CHANGED), "fields": fields})


def _deleted(sender: type[models.Model], instance: Any, **_: Any) -> None:
    if (draft := _draft_for(sender)) is not None:
        draft.note(_about(instance, "deleted"))


def _related(sender: Any, instance: Any, action: str, model: Any, pk_set: Any, **_: Any) -> None:
    words = {"post_add": "added", "post_remove": "removed"}
    if action not in words or not pk_set or (draft := _draft_for(type(instance))) is None:
        return
    names = sorted(str(row)[:LONGEST] for row in model._base_manager.filter(pk__in=pk_set))
    draft.note({**_about(instance, CHANGED), "fields": {model._meta.model_name: {words[action]: names}}})


def _about(instance: Any, change: str) -> dict[str, Any]:
    kind = instance._meta.model_name
    return {"type": kind, "id": str(instance.pk), "name": str(instance)[:LONGEST], "change": change}


def _differences(instance: Any, before: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in instance._meta.concrete_fields:
        if (
            column.attname in FORGOTTEN
            or column.attname not in before
            or column.attname in instance.get_deferred_fields()
        ):
            continue
        old, new = before[column.attname], getattr(instance, column.attname)
        if _raw(old) != _raw(new):
            found[column.name] = [_shown(old), _shown(new)] if may_be_shown(column) else CHANGED
    return found


def may_be_shown(column: Any) -> bool:
    if isinstance(column, EncryptedJSONField) or SECRET.search(column.name):
        return False
    return isinstance(column, (*SHOWN, models.ForeignKey))


def _raw(value: Any) -> Any:
    return value.token if isinstance(value, Sealed) else value


def _shown(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value[:LONGEST] if isinstance(value, str) else value
