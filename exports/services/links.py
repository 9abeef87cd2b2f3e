"""Links to completed exports: 256 bits that only their holder knows, counted, revocable, and over when they expire.

The token of a link is HMAC-SHA256 of random bits under the site's key. The row keeps the bits and the SHA-256 of the
token: whoever reads the database cannot make the token, and the site can show it again to its owner.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from exports.models import Export, ExportLink
from exports.selectors import status_of
from jobs.errors import BackupError
from jobs.models import Status

PURPOSE = b"backupsite export link\0"


def make_link(*, export: Export) -> ExportLink:
    """A new one; any other is revoked. The export is completed."""
    assert export.expires_at is not None
    nonce = secrets.token_hex(32)
    with transaction.atomic():
        revoke_links(export=export)
        return ExportLink.objects.create(
            export=export, nonce=nonce, digest=_digest(_token(nonce)), expires_at=export.expires_at
        )


def revoke_links(*, export: Export) -> int:
    """Whoever has one is refused from now on."""
    return export.links.filter(revoked_at=None).update(revoked_at=timezone.now())


def token_of(*, export: Export) -> str | None:
    """The token of the link that works now; None when there is none. A new link where the site's key has changed."""
    if status_of(export) != Status.COMPLETED:
        return None
    link = next((link for link in export.links.all() if link.revoked_at is None), None)
    if link is None:
        return None
    token = _token(link.nonce)
    return token if _digest(token) == link.digest else renew_link(export=export)


def open_link(*, token: str) -> ExportLink:
    """The link with its export.

    Raises BackupError: link_unknown; link_over once it expired, was revoked, or its export is gone.
    """
    links = ExportLink.objects.select_related("export").defer("export__manifest", "export__metadata")
    link = links.filter(digest=_digest(token)).first()
    if link is None:
        raise BackupError("There is no such link.", code="link_unknown", permanent=True)
    if link.revoked_at or link.expires_at <= timezone.now() or status_of(link.export) != Status.COMPLETED:
        raise BackupError("The export expired, or its link was revoked.", code="link_over", permanent=True)
    return link


def note_use(*, link: ExportLink) -> None:
    """Once a download: not for every part of it."""
    ExportLink.objects.filter(pk=link.pk).update(uses=F("uses") + 1, last_used_at=timezone.now())


def renew_link(*, export: Export) -> str:
    """The token of a new one; whoever has the old one is refused from now on.

    Raises BackupError(code="wrong_state") unless the export is completed.
    """
    with transaction.atomic():
        row = Export.objects.select_for_update().get(pk=export.pk)
        if status_of(row) != Status.COMPLETED:
            raise BackupError(
                f"{row.pk} is {status_of(row)}: only a completed export has a link.", code="wrong_state", permanent=True
            )
        return _token(make_link(export=row).nonce)


def _token(nonce: str) -> str:
    raw = hmac.digest(settings.SECRET_KEY.encode(), PURPOSE + bytes.fromhex(nonce), "sha256")
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
