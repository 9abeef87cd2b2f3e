"""The public page where users ask for their own data, and what it may read while it watches.

Whatever changes something is signed by the user (NIP-98), as for any other client. Watching would make an extension ask
every few seconds: one signed request gives a cookie that may list the user's own exports for a while, and nothing else.
"""

from typing import Any, cast

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports.api.authentication import IsNostrUser, NostrAuthentication, NostrUser
from exports.api.limits import Limited
from exports.api.own_serializers import OwnExportSerializer
from exports.selectors import enabled_sources, export_policy, exports_of
from exports.services.build_source import build_source
from jobs.errors import BackupError

COOKIE, PATH, SALT = "backupsite_exports", "/exports/", "exports.page"
LASTS_S = 3600
MOST_LISTED = 50
# Nothing from elsewhere, nothing inline, no frame around it: a link to somebody's data is on it.
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
POLICY += "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"


@require_safe
@never_cache
def exports_page(request: HttpRequest) -> HttpResponse:
    collections = _collections() if export_policy().enabled else ()
    answer = render(
        request, "exports/page.html", {"offered": bool(collections), "collections": collections, "words": _words()}
    )
    answer["Content-Security-Policy"] = POLICY
    answer["Referrer-Policy"] = "no-referrer"
    return answer


class CookieAuthentication(BaseAuthentication):
    """Who signed in on the page. It may read only, so that no token against forgery is needed."""

    def authenticate(self, request: Request) -> tuple[NostrUser, None] | None:
        try:
            pubkey = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=LASTS_S)
        except signing.BadSignature:
            return None
        return NostrUser(pubkey), None

    def authenticate_header(self, request: Request) -> str:
        return "Nostr"


class SessionView(Limited, APIView):
    """Signing in and out."""

    schema = None
    action = "sign_in"
    authentication_classes = (NostrAuthentication,)
    permission_classes = (IsNostrUser,)

    def post(self, request: Request) -> Response:
        pubkey = _pubkey(request)
        answer = Response({"pubkey": pubkey})
        answer.set_cookie(
            COOKIE,
            signing.dumps(pubkey, salt=SALT),
            max_age=LASTS_S,
            path=PATH,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Strict",
        )
        return answer


class SignOutView(APIView):
    schema = None
    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        answer = Response(status=204)
        answer.delete_cookie(COOKIE, path=PATH, samesite="Strict")
        return answer


class JobsView(APIView):
    """The user's newest exports, as far as they have come; `pubkey` is null for who has not signed in."""

    schema = None
    authentication_classes = (CookieAuthentication,)
    permission_classes = ()

    def get(self, request: Request) -> Response:
        pubkey = _pubkey(request) if request.user.is_authenticated else None
        found = exports_of(pubkey)[:MOST_LISTED] if pubkey else ()
        jobs = [{**OwnExportSerializer(export).data, "bytesDone": export.bytes_done} for export in found]
        return Response({"pubkey": pubkey, "jobs": jobs}, headers={"Cache-Control": "no-store"})


def _pubkey(request: Request) -> str:
    return cast(NostrUser, request.user).pubkey


def _collections() -> tuple[str, ...]:
    """What there is, by name. A source that cannot be built now has none: who asks for an export is told."""
    found: dict[str, None] = {}
    for source in enabled_sources():
        try:
            found |= dict.fromkeys(build_source(source=source).collections)
        except BackupError:
            continue
    return tuple(found)


def _words() -> dict[str, Any]:
    """What the page's script says."""
    return {
        "noSigner": gettext("No extension that signs (NIP-07) was found in this browser."),
        "insecure": gettext("Signing needs this page over HTTPS."),
        "sure": gettext("Delete this export? Its link ends at once."),
        "starts": gettext("begins {when}"),
        "holds": gettext("{files} files, {size}"),
        "until": gettext("can be fetched until {when}"),
        "types": {
            "full": gettext("Everything"),
            "incremental": gettext("What is new"),
            "selective": gettext("A choice"),
        },
        "states": {
            "scheduled": gettext("Scheduled"),
            "pending": gettext("Waiting"),
            "in_progress": gettext("In progress"),
            "completed": gettext("Completed"),
            "failed": gettext("Failed"),
            "cancelled": gettext("Cancelled"),
            "expired": gettext("Expired"),
        },
    }
