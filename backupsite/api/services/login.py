"""Log in with a name, a password and a second factor, slowly enough for those who guess.

Attempts are counted before the password is looked at: see jobs/services/quota.py.
"""

import math
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed, Throttled

from accounts.addresses import client_address, network_of
from accounts.selectors import has_second_factor
from accounts.services.second_factor import use_code
from audit.models import Entry
from audit.services.draft import say
from jobs.roles import role_of
from jobs.services.quota import Limit, forget, give_back, subject_of, take
from notifications.models import Event
from notifications.services.record import record_event

TOLD_FOR = timedelta(minutes=5)
MOST_TOLD = 20  # in that time, from however many addresses


class OtpRequired(AuthenticationFailed):
    """The password was right; a code of the second factor is needed too. The attempt stays counted until it came."""

    default_detail = "This user's second factor is on: send its code as `otp` too."
    default_code = "otp_required"

    def __init__(self, user: Any) -> None:
        super().__init__()
        self.user = user


def log_in(*, request: HttpRequest, username: str, password: str, code: str = "") -> Any:
    """The user, whose second factor was asked for where it is on.

    Raises AuthenticationFailed (`bad_credentials`, `bad_otp`), Throttled when there were too many attempts, and
    OtpRequired when the password is right and the code is still to come: `confirm_login` takes it.
    """
    _say_login(username)
    _refuse_without_local_login()
    limits = _admitted(request, username)
    user = _user_with(request, username, password)
    if has_second_factor(user):
        if not code:
            say(outcome=Entry.Outcome.REFUSED, detail="otp_required")
            raise OtpRequired(user)
        _check_code(request, user, code)
    _forgive(limits)
    return user


def confirm_login(*, request: HttpRequest, user: Any, code: str) -> None:
    """The second step of a login in a browser, counted like the first: both are forgiven when it is right."""
    _say_login(user.get_username())
    limits = _admitted(request, user.get_username())
    _check_code(request, user, code)
    _forgive(limits, attempts=2)


def check_password(*, request: HttpRequest, user: Any, password: str) -> None:
    """Asks somebody who is logged in for the password once more. Raises AuthenticationFailed and Throttled."""
    limits = _admitted(request, user.get_username())
    _user_with(request, user.get_username(), password)
    _forgive(limits)


def check_code(*, request: HttpRequest, user: Any, code: str) -> None:
    """Asks somebody who is logged in for a code. Raises AuthenticationFailed (`bad_otp`) and Throttled."""
    limits = _admitted(request, user.get_username())
    _check_code(request, user, code)
    _forgive(limits)


def _refuse_without_local_login() -> None:
    if not settings.BACKUPSITE_LOCAL_LOGIN:
        say(outcome=Entry.Outcome.REFUSED, detail="no_local_login")
        raise AuthenticationFailed("Passwords are not taken here: use single sign-on.", code="no_local_login")


def _admitted(request: HttpRequest, username: str) -> list[Limit]:
    """Counts the attempt. Raises Throttled."""
    address = client_address(request)
    limits = _limits(username, address)
    wait = take(limits).wait
    if wait is not None:
        raise _locked(username, address, wait)
    return limits


def _locked(username: str, address: str, wait: timedelta) -> Throttled:
    say(outcome=Entry.Outcome.REFUSED, detail="throttled")
    _tell_locked(username, address)
    return Throttled(wait=math.ceil(wait.total_seconds()), detail="Too many attempts to log in.")


def _say_login(username: str) -> None:
    """Who the audit says it was. A name that no user has is not kept: it may be a mistyped password."""
    user = get_user_model().objects.filter(username=username).first()
    who = {"user_id": user.pk, "who": user.get_username(), "role": role_of(user).name.lower()} if user else {"who": ""}
    say(action="login", object_type="", object_id="", object_name="", **who)


def _user_with(request: HttpRequest, username: str, password: str) -> Any:
    user = authenticate(request, username=username, password=password)
    if user is None:
        say(outcome=Entry.Outcome.REFUSED, detail="bad_credentials")
        raise AuthenticationFailed("No active user has this name and password.", code="bad_credentials")
    return user


def _check_code(request: HttpRequest, user: Any, code: str) -> None:
    """Codes have a count of their own beside the login's: who knows the password has twenty guesses an hour."""
    limit = Limit(subject_of("login", "code", user.get_username().casefold()), 20, timedelta(hours=1))
    wait = take([limit]).wait
    if wait is not None:
        raise _locked(user.get_username(), client_address(request), wait)
    if not use_code(user=user, code=code):
        say(outcome=Entry.Outcome.REFUSED, detail="bad_otp")
        raise AuthenticationFailed("The code is wrong, or was used already.", code="bad_otp")
    forget(limit)


def _tell_locked(username: str, address: str) -> None:
    """Once for an address and a while. A name that no user has is not repeated: it may be a mistyped password."""
    recent = Event.objects.filter(kind="security.login_locked", created_at__gt=timezone.now() - TOLD_FOR)
    told = list(recent.values_list("subject_id", flat=True)[:MOST_TOLD])
    if address in told or len(told) == MOST_TOLD:
        return
    known = get_user_model().objects.filter(username=username).exists()
    record_event(
        kind="security.login_locked",
        subject_id=address[:63],
        message=f"Too many attempts to log in as {username if known else 'an unknown user'} from {address}.",
        hint="Was it you? Else look who is at that address, and block it in front of the site.",
    )


def _limits(username: str, address: str) -> list[Limit]:
    """The middle one holds off guessing from many addresses; it is wider than what one address may try in an hour, so
    that nobody locks a user out everywhere from there."""
    network = network_of(address)
    return [
        Limit(subject_of("login", "both", username.casefold(), network), 10, timedelta(minutes=5)),
        Limit(subject_of("login", "name", username.casefold()), 200, timedelta(hours=1)),
        address_limit(address),
    ]


def address_limit(address: str) -> Limit:
    return Limit(subject_of("login", "address", network_of(address)), 60, timedelta(minutes=5))


def _forgive(limits: list[Limit], *, attempts: int = 1) -> None:
    """An attempt that succeeded was no guess."""
    forget(limits[0])
    give_back(limits[1:], times=attempts)
