"""`Authorization: Nostr <event>`: end users, who are known by their public key alone (NIP-98)."""

import time
from dataclasses import dataclass
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from exports.nip98 import Rules, SignedRequest, verify_token
from exports.services.remember_event import remember_event
from jobs.errors import BackupError

KEYWORD = "Nostr"


@dataclass(frozen=True)
class NostrUser:
    """Who asks for an own export. No row of the site's users, hence without any role."""

    pubkey: str
    pk: None = None
    is_active: bool = True
    is_anonymous: bool = False
    is_authenticated: bool = True


class NostrAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[NostrUser, None] | None:
        scheme, _, token = get_authorization_header(request).partition(b" ")
        if scheme.lower() != KEYWORD.lower().encode():
            return None
        http = request._request
        asked = SignedRequest(str(request.method), raw_target(http), http.body)
        rules = Rules(
            settings.BACKUPSITE_EXPORT_ORIGINS, settings.BACKUPSITE_NIP98_WINDOW_S, settings.BACKUPSITE_NIP98_PAYLOAD
        )
        try:
            event = verify_token(token.strip().decode("latin-1"), asked, rules, now=time.time())
            remember_event(event_id=event.id, created_at=event.created_at, window_s=rules.window_s)
        except BackupError as error:
            raise AuthenticationFailed(error.message, code=error.code) from error
        return NostrUser(event.pubkey), None

    def authenticate_header(self, request: Request) -> str:
        return KEYWORD


class IsNostrUser(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, NostrUser)


def pubkey_of(request: Request) -> str:
    """Of who signed it: the view asks for that."""
    return str(cast(Any, request.user).pubkey)


def raw_target(request: HttpRequest) -> str:
    """Path and query as the client sent them.

    gunicorn keeps the target of the request line in RAW_URI (uWSGI in REQUEST_URI); no header of a client can end up
    under these names. Where neither is there, the escaped form of what was routed is as good.
    """
    return str(request.META.get("RAW_URI") or request.META.get("REQUEST_URI") or request.get_full_path())
