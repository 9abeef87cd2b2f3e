"""A second factor by time-based codes (RFC 6238): begun, confirmed by a first code, asked at each login, taken off.

A code counts once: the step it was made for is remembered, and neither it nor an older one is taken again.
"""

import hashlib
import re
import secrets
import time
from base64 import b32encode
from typing import Any

import pyotp
from django.db import transaction
from django.utils import timezone

from accounts.models import Account, RecoveryCode
from accounts.selectors import account_of
from jobs.errors import BackupError
from jobs.fields import unseal
from notifications.services.record import record_event

STEP_S = 30
STEPS_EITHER_WAY = 1  # clocks differ, and people type slowly
CODES = 10


def begin(*, user: Any) -> str:
    """The secret to enrol, in base32: the same until it was confirmed, so that reading the page again changes nothing.

    Raises BackupError(wrong_state) when a factor is on already.
    """
    account = account_of(user)
    if account.totp_confirmed_at is not None:
        raise BackupError("The second factor is on already.", code="wrong_state", permanent=True)
    if account.totp_secret is None:
        account.totp_secret = pyotp.random_base32()
        account.save()
    return str(unseal(account.totp_secret))


def address_of(*, user: Any, secret: str) -> str:
    """The `otpauth://` address that an authenticator reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=user.get_username(), issuer_name="Backupsite")


def confirm(*, user: Any, code: str) -> list[str] | None:
    """Switches the factor on when the code is right: the recovery codes, told this once. None when it is not."""
    with transaction.atomic():
        account = _locked(user)
        if account is None or account.totp_secret is None or account.totp_confirmed_at is not None:
            return None
        if not _use_step(account, code):
            return None
        account.totp_confirmed_at = timezone.now()
        account.save(update_fields=["totp_confirmed_at"])
        return renew_recovery_codes(user=user)


def renew_recovery_codes(*, user: Any) -> list[str]:
    """The codes of before are worth nothing from now on."""
    codes = [_new_code() for _ in range(CODES)]
    with transaction.atomic():
        RecoveryCode.objects.filter(user_id=user.pk).delete()
        RecoveryCode.objects.bulk_create([RecoveryCode(user_id=user.pk, digest=_digest(code)) for code in codes])
    return codes


def use_code(*, user: Any, code: str) -> bool:
    """Whether this is the user's code of just now, or a recovery code: either is used up by it."""
    code = re.sub(r"[\s-]", "", code).upper()
    if not code.isdigit():
        return bool(RecoveryCode.objects.filter(user_id=user.pk, digest=_digest(code)).delete()[0])
    with transaction.atomic():
        account = _locked(user)
        return account is not None and account.totp_confirmed_at is not None and _use_step(account, code)


def remove(*, user: Any, by: str) -> None:
    """Takes the factor off and the recovery codes with it. `by` is who did it, in words."""
    with transaction.atomic():
        had = Account.objects.filter(user_id=user.pk, totp_confirmed_at__isnull=False).update(
            totp_secret=None, totp_confirmed_at=None, totp_last_step=0
        )
        RecoveryCode.objects.filter(user_id=user.pk).delete()
        if had:
            record_event(
                kind="security.second_factor_removed",
                subject_id=str(user.pk),
                message=f"The second factor of {user.get_username()} was taken off by {by}.",
                hint="Was it meant? Else set a new password for that user now.",
            )


def _locked(user: Any) -> Account | None:
    """Two requests with the same code wait for each other: the second sees that it was used."""
    return Account.objects.select_for_update().filter(user_id=user.pk).first()


def _use_step(account: Account, code: str) -> bool:
    if not code.isascii():  # other scripts have digits too, and compare_digest takes none of them
        return False
    totp = pyotp.TOTP(str(unseal(account.totp_secret)))
    now = int(time.time()) // STEP_S
    for step in range(now - STEPS_EITHER_WAY, now + STEPS_EITHER_WAY + 1):
        if step > account.totp_last_step and secrets.compare_digest(totp.generate_otp(step), code.strip()):
            account.totp_last_step = step
            account.save(update_fields=["totp_last_step"])
            return True
    return False


def _new_code() -> str:
    text = b32encode(secrets.token_bytes(10)).decode()
    return "-".join(text[at : at + 4] for at in range(0, 16, 4))


def _digest(code: str) -> str:
    return hashlib.sha256(code.replace("-", "").encode()).hexdigest()
