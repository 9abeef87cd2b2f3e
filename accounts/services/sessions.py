"""Browsers that are logged in: listed while they are, ended by their user or an admin."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session as DjangoSession
from django.core.cache import cache
from django.http import HttpRequest
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from accounts.addresses import client_address
from accounts.models import Session
from accounts.selectors import gate_of

SEEN_EVERY_S = 60
GATE = "accounts_gate"  # what the session's user must do first
VIA = "accounts_via"


def follow_logins() -> None:
    user_logged_in.connect(_began, dispatch_uid="accounts")
    user_logged_out.connect(_left, dispatch_uid="accounts")


def _began(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    """Who comes from another site has proven there what is asked for here."""
    via = getattr(request, "signed_in_via", Session.Via.PASSWORD)
    request.session[VIA] = str(via)
    request.session[GATE] = "" if via == Session.Via.OIDC else gate_of(user)
    key = str(request.session.session_key)
    agent = request.META.get("HTTP_USER_AGENT", "").replace("\0", "")[:300]
    values = {"user": user, "via": via, "address": client_address(request)[:63], "agent": agent}
    Session.objects.update_or_create(key=key, defaults=values)
    cache.set(_cached(key), True, SEEN_EVERY_S)


def _left(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    Session.objects.filter(key=request.session.session_key).delete()


def note_seen(request: HttpRequest) -> None:
    """At most one write a minute and process, however often a page asks."""
    key = request.session.session_key
    if key and cache.add(_cached(key), True, SEEN_EVERY_S):
        Session.objects.filter(key=key).update(seen_at=timezone.now(), address=client_address(request)[:63])


def keep_session(*, request: HttpRequest, old_key: str | None) -> None:
    """A session that got a new key stays the same row."""
    Session.objects.filter(key=old_key).update(key=request.session.session_key)


def end_session(*, session: Session) -> None:
    """Its browser is logged out with its next request."""
    SessionStore(session.key).delete()
    session.delete()


def end_sessions(*, user: Any, but: str | None = None) -> int:
    """Every browser of the user except the one with the key `but`, and every refresh token. Returns how many browsers.

    Access tokens that were made already live on until they expire.
    """
    rows = Session.objects.filter(user_id=user.pk).exclude(key=but or "")
    keys = list(rows.values_list("key", flat=True))
    DjangoSession.objects.filter(session_key__in=keys).delete()
    rows.delete()
    now = timezone.now()
    tokens = OutstandingToken.objects.filter(user_id=user.pk, expires_at__gt=now, blacklistedtoken__isnull=True)
    BlacklistedToken.objects.bulk_create([BlacklistedToken(token=token) for token in tokens], ignore_conflicts=True)
    return len(keys)


def forget_ended_sessions() -> int:
    """The sweeper's step: sessions that ran out, and rows whose session is gone."""
    DjangoSession.objects.filter(expire_date__lt=timezone.now()).delete()
    old = Session.objects.filter(created_at__lt=timezone.now() - timedelta(minutes=1))
    return old.exclude(key__in=DjangoSession.objects.values("session_key")).delete()[0]


def _cached(key: str) -> str:
    return f"accounts-seen-{key}"
