"""People who log in, and the codes of their authenticator app."""

import time
from collections.abc import Callable
from typing import Any

import pyotp
import pytest

from accounts.models import Account
from accounts.services.second_factor import STEP_S
from jobs.fields import unseal
from tests.api import user_with

PASSWORD = "correct horse battery"


@pytest.fixture
def ada(db: None) -> Any:
    """An admin who may use the admin's pages."""
    user = user_with("admin", username="ada", password=PASSWORD)
    user.is_staff = True
    user.email = "ada@example.org"
    user.save()
    return user


@pytest.fixture
def factor(ada: Any) -> Callable[[int], str]:
    """Switches Ada's second factor on; `factor(0)` is the code of now, `factor(1)` that of the next 30 seconds."""
    secret = pyotp.random_base32()
    Account.objects.create(user=ada, totp_secret=secret, totp_confirmed_at="2026-01-01T00:00:00Z")

    def code(steps: int = 0) -> str:
        return str(pyotp.TOTP(secret).generate_otp(int(time.time()) // STEP_S + steps))

    return code


def secret_of(user: Any) -> str:
    return str(unseal(Account.objects.get(user=user).totp_secret))
