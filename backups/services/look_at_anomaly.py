"""Say of a backup that is unlike those before it whether that is right, which lets pruning go on, or wrong."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from backups.anomaly_selectors import held_by
from backups.models import Anomaly, Backup, Retained
from backups.services.judge import findings_of
from jobs.errors import BackupError
from jobs.models import LogLine, Status
from notifications.services.record import record_event

State = Anomaly.State
MOST_NOTE = 2000


def say_right(*, backup: Backup, note: str = "", user: Any = None) -> Anomaly:
    """Its level is usual from now on, and so are the marks that say the same. Those before it have passed.

    Raises BackupError(code="wrong_state") where there is nothing to say it of.
    """
    with transaction.atomic():
        mark = _mark(backup, (State.OPEN, State.WRONG))
        _write(mark, state=State.RIGHT, **_said(note, user), **_ended(note, user))
        for other in _holding(backup):
            if other.state == State.OPEN and not findings_of(other.backup):
                _write(other, state=State.RIGHT, **_said(note, user), **_ended(note, user))
        _pass_before(mark, note, user)
        _tell_end(mark, "was said to be right")
    return mark


def say_wrong(*, backup: Backup, note: str = "", user: Any = None) -> Anomaly:
    """It stays marked and pruning stays stopped until a good one came and somebody said so. Raises as above."""
    with transaction.atomic():
        mark = _mark(backup, (State.OPEN, State.RIGHT))
        _write(
            mark, state=State.WRONG, **_said(note, user), ended_at=None, ended_by=None, ended_by_name="", ended_note=""
        )
        _log(mark.backup, f"said to be wrong by {mark.said_by_name or 'a key'}")
    return mark


def say_good_again(*, backup: Backup, note: str = "", user: Any = None) -> Anomaly:
    """Of one that was said to be wrong: what came after it is good.

    Raises as above, and BackupError(code="nothing_good") while nothing unmarked was completed after it.
    """
    with transaction.atomic():
        mark = _mark(backup, (State.WRONG,))
        good = good_after(mark)
        if good is None:
            raise BackupError(
                f"No good backup of {mark.backup.database_name} was completed after {mark.pk}.",
                code="nothing_good",
                permanent=True,
                hint="Back it up; when that one is as it should be, say so.",
            )
        _write(mark, **_ended(note, user))
        _pass_before(mark, note, user, until=good)
        _tell_end(mark, f"was wrong, and {good.pk} is good")
    return mark


def good_after(mark: Anomaly) -> Backup | None:
    """The newest completed backup after it that is not marked, or was said to be right."""
    later = Backup.objects.filter(
        database=mark.database_id,
        status=Status.COMPLETED,
        type=mark.backup.type,
        collection=mark.backup.collection,
        finished_at__gt=mark.backup.finished_at,
    )
    held = later.filter(anomaly__state__in=[State.OPEN, State.WRONG]).values("pk")
    return later.exclude(pk__in=held).defer("manifest").order_by("-finished_at").first()


def _mark(backup: Backup, states: tuple[State, ...]) -> Anomaly:
    mark = Anomaly.objects.select_for_update(of=("self",)).select_related("backup").filter(pk=backup.pk).first()
    if mark is None:
        raise BackupError(f"{backup.pk} is not marked.", code="wrong_state", permanent=True)
    if mark.state not in states or (mark.state == State.WRONG and not mark.holds):
        over = "" if mark.holds else ", and that is over"
        raise BackupError(f"{backup.pk} is marked as {mark.state}{over}.", code="wrong_state", permanent=True)
    return mark


def _holding(backup: Backup) -> list[Anomaly]:
    held = Anomaly.objects.select_for_update(of=("self",)).filter(database=backup.database_id, ended_at=None)
    return list(held.exclude(pk=backup.pk).select_related("backup").order_by("found_at"))


def _pass_before(mark: Anomaly, note: str, user: Any, *, until: Backup | None = None) -> None:
    """What is right now leaves nothing to look at before it."""
    last = (until or mark.backup).finished_at
    for other in _holding(mark.backup):
        if last and other.backup.finished_at and other.backup.finished_at < last:
            state = State.PASSED if other.state == State.OPEN else other.state
            _write(other, state=state, **_ended(note, user))


def _tell_end(mark: Anomaly, how: str) -> None:
    backup = mark.backup
    _log(backup, f"{how}, says {mark.ended_by_name or 'a key'}")
    if backup.database_id in held_by([backup.database_id]):
        return
    Retained.objects.filter(pk=backup.database_id).delete()  # retention looks at it in its next round
    record_event(
        kind="anomaly.ended",
        subject_id=backup.pk,
        database_id=backup.database_id or "",
        message=f"The backup {backup.pk} of {backup.database_name} {how}: pruning goes on.",
        data={"by": mark.ended_by_name, "note": mark.ended_note},
    )


def _log(backup: Backup, message: str) -> None:
    LogLine.objects.create(job_kind=Backup.kind, job_id=backup.pk, attempt=backup.attempt, message=message)


def _write(mark: Anomaly, **values: Any) -> None:
    for name, value in values.items():
        setattr(mark, name, value)
    mark.save(update_fields=list(values))


def _said(note: str, user: Any) -> dict[str, Any]:
    return {"said_by": user, "said_by_name": _name(user), "said_at": timezone.now(), "note": note[:MOST_NOTE]}


def _ended(note: str, user: Any) -> dict[str, Any]:
    return {
        "ended_by": user,
        "ended_by_name": _name(user),
        "ended_at": timezone.now(),
        "ended_note": note[:MOST_NOTE],
    }


def _name(user: Any) -> str:
    return user.get_username() if user is not None else ""
