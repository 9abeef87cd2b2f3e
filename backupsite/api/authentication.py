"""`Authorization: Api-Key bks_...`: programs that hold a named key instead of a login."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from backupsite.api.models import ApiKey

KEYWORD = "Api-Key"
USED_EVERY = timedelta(minutes=1)


class ApiKeyAuthentication(BaseAuthentication):
    """The user is whoever made the key, nobody for one made without; the role is the key's own, at most its maker's."""

    def authenticate(self, request: Request) -> tuple[Any, ApiKey] | None:
        scheme, _, secret = get_authorization_header(request).partition(b" ")
        if scheme.lower() != KEYWORD.lower().encode():
            return None
        digest = ApiKey.digest_of(secret.strip().decode("latin-1"))
        key = ApiKey.objects.select_related("created_by").filter(digest=digest).first()
        if key is None or not key.usable or (key.created_by is not None and not key.created_by.is_active):
            raise AuthenticationFailed("The API key is unknown, revoked or expired.")
        _note_use(key)
        return key.created_by or AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        return KEYWORD


def _note_use(key: ApiKey) -> None:
    """At most one write a minute, however busy the key is."""
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at >= USED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
