"""What a store holds: note it beside the copy, and say of a backup until when nobody can delete it."""

from collections.abc import Callable
from datetime import datetime

from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from backups.artefact import index_keys, sidecar_key
from backups.models import Copy
from backups.storage.base import ObjectStorage, Stored
from jobs.errors import BackupError

HELD = "held"


def noting(copy: Copy, *, artefact: bool = True) -> Callable[[Stored], None]:
    """For `on_stored` of a write: the last of a copy's objects to be let go decides when the copy can be deleted."""

    def note(stored: Stored) -> None:
        rows = Copy.objects.filter(pk=copy.pk)
        if stored.version_id and artefact:
            rows.update(version_id=stored.version_id)
            copy.version_id = stored.version_id
        if stored.retain_until:
            known = Coalesce(F("retain_until"), stored.retain_until)
            rows.update(retain_until=Greatest(known, stored.retain_until))

    return note


def held_now() -> Q:
    """Copies that their store deletes for nobody now."""
    return Q(retain_until__gt=timezone.now())


def until_words(at: datetime) -> str:
    """The same words wherever it is told."""
    return f"the store holds it until {at:%Y-%m-%d %H:%M} UTC"


def refuse_held(copy: Copy) -> None:
    """Raises BackupError(code="held") rather than ask the store for what it would refuse."""
    if copy.retain_until and copy.retain_until > timezone.now():
        raise _held(copy, copy.retain_until)


def explain_refusal(copy: Copy, storage: ObjectStorage) -> None:
    """Raises BackupError(code="held") when the store refused because it holds the object, longer than was known."""
    found = [storage.held_until(copy.key, version_id=copy.version_id)]
    found += [storage.held_until(key) for key in (sidecar_key(copy.key), *index_keys(copy.key))]
    until = max((at for at in found if at), default=None)
    if until and until > timezone.now():
        Copy.objects.filter(pk=copy.pk).update(retain_until=until)
        raise _held(copy, until)


def _held(copy: Copy, until: datetime) -> BackupError:
    return BackupError(
        f"{copy.key} cannot be deleted yet: {until_words(until)}.",
        code=HELD,
        permanent=True,
        hint="It is deleted when that time has come.",
    )
