"""`Idempotency-Key`: a POST that is sent twice starts one job.

The key's row, the job and the remembered answer are written in one transaction: a second request that comes while the
first is being answered waits for it, and a crash leaves neither a job without its answer nor a key without its job.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from backupsite.api.models import ApiKey, IdempotencyKey
from exports.api.authentication import NostrUser
from jobs.errors import BackupError

HEADER = "Idempotency-Key"
REMEMBERED = timedelta(hours=24)


class Idempotent:
    """Mixed into every view by the router; works for the actions that the view names in `starts_job`."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        starts = getattr(self, "action", None) in getattr(self, "starts_job", ())
        if starts and request.method == "POST" and HEADER in request.headers:
            # REST framework looks its handler up after this method.
            self.post: Callable[..., Response] = _once(self.post)


def _once(handler: Callable[..., Response]) -> Callable[..., Response]:
    def answer(request: Request, *args: Any, **kwargs: Any) -> Response:
        key, fingerprint = _key(request), _fingerprint(request)
        with transaction.atomic():
            row, first = _row(_owner(request), key, fingerprint)
            if not first:
                return _again(row, fingerprint)
            response = handler(request, *args, **kwargs)
            row.status = response.status_code
            row.location = response.headers.get("Location", "")
            row.body = json.loads(JSONRenderer().render(response.data))
            row.save(update_fields=["status", "location", "body"])
            return response

    return answer


def _row(owner: str, key: str, fingerprint: str) -> tuple[IdempotencyKey, bool]:
    IdempotencyKey.objects.filter(owner=owner, key=key, created_at__lt=timezone.now() - REMEMBERED).delete()
    return IdempotencyKey.objects.get_or_create(owner=owner, key=key, defaults={"fingerprint": fingerprint})


def _again(row: IdempotencyKey, fingerprint: str) -> Response:
    if row.fingerprint != fingerprint:
        raise BackupError(
            f"This {HEADER} was used with another request.",
            code="idempotency_conflict",
            permanent=True,
            hint="Make a new key for a new request.",
        )
    headers = {"Idempotency-Replayed": "true"} | ({"Location": row.location} if row.location else {})
    return Response(row.body, status=row.status, headers=headers)


def _key(request: Request) -> str:
    key = request.headers[HEADER].strip()
    if not key or len(key) > 255 or not (key.isascii() and key.isprintable()):
        raise ValidationError({HEADER: ["Give 1 to 255 printable ASCII characters."]})
    return key


def _fingerprint(request: Request) -> str:
    """Of the request's meaning: neither the mount nor white space in the body makes it another one."""
    path = request.path.removeprefix("/api").rstrip("/")
    body = json.dumps(request.data, sort_keys=True)
    return hashlib.sha256(f"{request.method} {path}\n{body}".encode()).hexdigest()


def _owner(request: Request) -> str:
    if isinstance(request.user, NostrUser):
        return request.user.pubkey
    return f"key:{request.auth.pk}" if isinstance(request.auth, ApiKey) else f"user:{request.user.pk}"


def forget_old_keys() -> int:
    """The sweeper's step. Returns how many were removed."""
    return IdempotencyKey.objects.filter(created_at__lt=timezone.now() - REMEMBERED).delete()[0]
