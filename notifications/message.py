"""Events -> one message an operator can act on: as text, as HTML, and for programs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext, ngettext

from notifications.kinds import KINDS
from notifications.links import link_of, link_to_all
from notifications.models import Event, Severity

SHOWN = 20  # events in words
CARRIED = 50  # events in the body for programs
LONGEST = 2000  # characters of one text


@dataclass(frozen=True)
class Message:
    """`id` is the same at every attempt to send it."""

    id: str
    subject: str
    severity: Severity
    text: str
    html: str
    body: dict[str, Any]


def compose(message_id: str, events: Sequence[Event]) -> Message:
    """The worst first; at most 20 in words, the others counted."""
    ordered = sorted(events, key=lambda event: (-Severity(event.severity).rank, event.created_at, event.pk))
    counts = Counter(event.kind for event in ordered)
    context = {
        "lines": [_line(event) for event in ordered[:SHOWN]],
        "more": max(0, len(ordered) - SHOWN),
        "counts": counts.most_common() if len(ordered) > 1 else [],
        "total": len(ordered),
        "all": link_to_all(),
    }
    subject = _subject(ordered, counts)
    return Message(
        id=message_id,
        subject=subject,
        severity=Severity(ordered[0].severity),
        text=render_to_string("notifications/message.txt", context).strip() + "\n",
        html=render_to_string("notifications/message.html", {**context, "subject": subject}),
        body=_body(ordered, counts, subject),
    )


def compose_test(message_id: str, name: str) -> Message:
    """What the test button sends."""
    now = timezone.now()
    event = Event(
        kind="channel.test",
        severity=Severity.INFO,
        subject_id="",
        message=gettext("This is a test of the channel %(name)s. Messages arrive.") % {"name": name},
        created_at=now,
    )
    return compose(message_id, [event])


def _subject(events: Sequence[Event], counts: Counter[str]) -> str:
    if len(events) == 1:
        text = events[0].message
    else:
        told = ", ".join(f"{count} {kind}" for kind, count in counts.most_common(4))
        text = ngettext("%(count)d event", "%(count)d events", len(events)) % {"count": len(events)} + f": {told}"
    text = " ".join(text.split())  # a subject is one line
    return f"[Backupsite] {text[:147]}…" if len(text) > 148 else f"[Backupsite] {text}"


def _line(event: Event) -> dict[str, Any]:
    kind = KINDS.get(event.kind)
    facts = [
        (gettext("Since"), "since"),
        (gettext("Last good backup"), "last_good_at"),
        (gettext("Last proven backup"), "last_proven_at"),
    ]
    return {
        "event": event,
        "about": kind.description if kind else "",
        "message": event.message[:LONGEST],
        "facts": [(label, _time(event.data[name])) for label, name in facts if name in event.data],
        "link": link_of(event),
    }


def _time(text: Any) -> str:
    at = parse_datetime(text) if isinstance(text, str) else None
    return f"{at:%Y-%m-%d %H:%M} UTC ({_ago(at)})" if at else gettext("never")


def _ago(at: datetime) -> str:
    hours = (timezone.now() - at).total_seconds() / 3600
    if hours < 1:
        return gettext("less than an hour ago")
    if hours < 48:
        return ngettext("%(n)d hour ago", "%(n)d hours ago", int(hours)) % {"n": int(hours)}
    return gettext("%(n)d days ago") % {"n": int(hours // 24)}


def _body(events: Sequence[Event], counts: Counter[str], subject: str) -> dict[str, Any]:
    """Always of one shape: `type` is the kind of a single event, or `digest`."""
    return {
        "type": events[0].kind if len(events) == 1 else "digest",
        "timestamp": timezone.now().isoformat(),
        "data": {
            "subject": subject,
            "severity": events[0].severity,
            "count": len(events),
            "counts": dict(counts),
            "events": [event_body(event) for event in events[:CARRIED]],
            "link": link_to_all(),
        },
    }


def event_body(event: Event) -> dict[str, Any]:
    return {
        "id": event.pk,
        "kind": event.kind,
        "severity": event.severity,
        "subject_id": event.subject_id,
        "database_id": event.database_id,
        "message": event.message[:LONGEST],
        "hint": event.hint[:LONGEST],
        "data": event.data,
        "created_at": event.created_at.isoformat(),
        "link": link_of(event),
    }
