"""Reads of accounts."""

from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from accounts.models import Account, RecoveryCode, Session
from jobs.roles import Role, role_of


def account_of(user: Any) -> Account:
    """The user's row, or one that is not saved yet."""
    return Account.objects.filter(user_id=user.pk).first() or Account(user_id=user.pk)


def has_second_factor(user: Any) -> bool:
    return account_of(user).totp_confirmed_at is not None


def needs_second_factor(user: Any) -> bool:
    """Whether the deployment asks who has this role for a second factor."""
    asked = settings.BACKUPSITE_REQUIRE_SECOND_FACTOR
    return bool(asked) and role_of(user) >= Role[asked.upper()]


def gate_of(user: Any) -> str:
    """What a user has to do before anything else: "password", "factor" or nothing."""
    account = account_of(user)
    if account.must_change_password:
        return "password"
    if account.totp_confirmed_at is None and needs_second_factor(user):
        return "factor"
    return ""


def sessions_of(user: Any) -> QuerySet[Session]:
    return Session.objects.filter(user_id=user.pk)


def recovery_codes_left(user: Any) -> int:
    return RecoveryCode.objects.filter(user_id=user.pk).count()
