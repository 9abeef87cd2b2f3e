"""Set a password: one's own, or somebody else's, who then has to make it theirs."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import Account
from accounts.services.sessions import end_sessions


def change_password(*, user: Any, new: str, keep: str | None = None) -> None:
    """The user's own choice. It ends every other session and token; `keep` is the key of the session that stays.

    Raises ValidationError by field. The old password was asked for by whoever calls.
    """
    if user.check_password(new):
        raise ValidationError({"new_password": ["This is the password of before: choose another one."]})
    try:
        validate_password(new, user)
    except ValidationError as error:
        raise ValidationError({"new_password": error.messages}) from error
    with transaction.atomic():
        user.set_password(new)
        user.save(update_fields=["password"])
        Account.objects.filter(user_id=user.pk).update(must_change_password=False)
        end_sessions(user=user, but=keep)


def demand_change(*, user: Any) -> None:
    """Somebody else knows this user's password: the next login asks for a new one before anything else."""
    Account.objects.update_or_create(user_id=user.pk, defaults={"must_change_password": True})
