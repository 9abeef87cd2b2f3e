"""A second factor: set up by its owner, asked at both doors, each code once, guesses counted."""

import time
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import Account, RecoveryCode
from accounts.services.second_factor import STEP_S, renew_recovery_codes
from audit.models import Entry
from backupsite.users import save_user
from notifications.models import Event
from tests.accounts.conftest import PASSWORD, secret_of
from tests.api import browser_of, user_with

pytestmark = pytest.mark.django_db
Code = Callable[[int], str]


def first_step(password: str = PASSWORD) -> Client:
    browser = Client()
    browser.post("/admin/login/?next=/admin/account/", {"username": "ada", "password": password})
    return browser


def token(code: str | None = None, password: str = PASSWORD) -> Any:
    body = {"username": "ada", "password": password, **({} if code is None else {"otp": code})}
    return APIClient().post("/api/token", body, format="json")


def is_in(browser: Client) -> bool:
    return browser.get("/admin/account/").status_code == 200


def test_it_is_set_up_by_a_code_and_the_password(ada: Any) -> None:
    before, browser = first_step(), first_step()
    assert is_in(before)
    assert is_in(browser)
    browser.post("/admin/account/second-factor/begin/")
    secret = secret_of(ada)
    page = browser.get("/admin/account/second-factor/").content.decode()
    assert "<svg viewBox=" in page  # without one, a picture of another size is cut
    assert " ".join(secret[at : at + 4] for at in range(0, 32, 4)) in page
    code = pyotp.TOTP(secret).now()
    for wrong in ({"first_code": "000000", "password": PASSWORD}, {"first_code": code, "password": "wrong"}):
        browser.post("/admin/account/second-factor/confirm/", wrong)
        assert Account.objects.get().totp_confirmed_at is None
    done = browser.post("/admin/account/second-factor/confirm/", {"first_code": code, "password": PASSWORD})
    codes = done.context["codes"]
    assert len(codes) == RecoveryCode.objects.count() == 10
    stored = [row.digest for row in RecoveryCode.objects.all()]
    assert not {code.replace("-", "") for code in codes} & set(stored)
    assert Entry.objects.filter(action="second-factor.on", who="ada").count() == 1
    assert [is_in(browser), is_in(before), is_in(first_step())] == [True, False, False]


def test_reading_the_page_changes_nothing(ada: Any) -> None:
    browser = first_step()
    browser.get("/admin/account/second-factor/")
    assert not Account.objects.exists()


def test_its_secret_is_sealed_in_the_site_database(ada: Any) -> None:
    browser = first_step()
    browser.post("/admin/account/second-factor/begin/")
    with connection.cursor() as cursor:
        cursor.execute("SELECT totp_secret FROM accounts_account")
        assert secret_of(ada) not in str(cursor.fetchone()[0])


def test_the_password_alone_opens_nothing(ada: Any, factor: Code) -> None:
    browser = first_step()
    assert not is_in(browser)
    answer = browser.post("/admin/login/code/", {"code": factor(0)})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/account/")
    assert is_in(browser)


def test_the_code_page_is_for_who_gave_the_password(ada: Any, factor: Code) -> None:
    browser = Client()
    assert browser.post("/admin/login/code/", {"code": factor(0)})["Location"].startswith("/admin/login/")
    waits = first_step()
    ada.set_password("changed meanwhile")
    ada.save()
    assert waits.post("/admin/login/code/", {"code": factor(0)})["Location"].startswith("/admin/login/")
    assert not is_in(waits)


def test_a_code_counts_once_at_whichever_door(ada: Any, factor: Code) -> None:
    used = factor(0)
    assert token(used).status_code == 200
    assert token(used).json()["code"] == "bad_otp"
    browser = first_step()
    browser.post("/admin/login/code/", {"code": used})
    assert not is_in(browser)
    assert token(factor(1)).status_code == 200
    assert token(factor(0)).json()["code"] == "bad_otp"  # older than the last one that was used


def test_a_code_of_long_ago_or_later_is_refused(ada: Any, factor: Code) -> None:
    for steps in (-3, 3):
        assert token(factor(steps)).status_code == 401


def test_the_api_says_that_a_code_is_wanted(ada: Any, factor: Code) -> None:
    answer = token()
    assert (answer.status_code, answer.json()["code"]) == (401, "otp_required")
    assert token(factor(0), password="wrong").json()["code"] == "bad_credentials"
    assert token(factor(0)).status_code == 200


def test_a_recovery_code_opens_once(ada: Any, factor: Code) -> None:
    code = renew_recovery_codes(user=ada)[0]
    assert token(code.lower().replace("-", " ")).status_code == 200
    assert token(code).status_code == 401
    assert RecoveryCode.objects.count() == 9


def test_guessing_codes_with_the_right_password_is_held_off(ada: Any, factor: Code) -> None:
    """The right password between the guesses forgives none of them."""
    for _ in range(5):
        assert token().json()["code"] == "otp_required"
        assert token("000000").status_code == 401
    assert token(factor(0)).status_code == 429
    browser = first_step()
    browser.post("/admin/login/code/", {"code": factor(0)})
    assert not is_in(browser)


def test_codes_have_a_count_of_their_own_wherever_the_guesses_come_from(ada: Any, factor: Code, settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    body = {"username": "ada", "password": PASSWORD, "otp": "000000"}
    for number in range(20):
        headers = {"x-forwarded-for": f"203.0.113.{number}"}
        assert APIClient().post("/api/token", body, format="json", headers=headers).status_code == 401
    body["otp"] = factor(0)
    answer = APIClient().post("/api/token", body, format="json", headers={"x-forwarded-for": "198.51.100.1"})
    assert answer.status_code == 429


@pytest.mark.parametrize("typed", ["٣٣٣٣٣٣", "²²²²²²", "éééééé", "123456\u0661"])
def test_digits_of_other_scripts_are_a_wrong_code_and_no_fault(ada: Any, factor: Code, typed: str) -> None:
    assert token(typed).json()["code"] == "bad_otp"
    answer = first_step().post("/admin/login/code/", {"code": typed})
    assert "code" in answer.context["form"].errors


def test_a_first_code_in_another_script_switches_nothing_on(ada: Any) -> None:
    browser = first_step()
    browser.post("/admin/account/second-factor/begin/")
    typed = {"first_code": "٣٣٣٣٣٣", "password": PASSWORD}
    answer = browser.post("/admin/account/second-factor/confirm/", typed)
    assert "first_code" in answer.context["form"].errors
    assert Account.objects.get().totp_confirmed_at is None


def test_its_owner_takes_it_off_with_a_code(ada: Any, factor: Code) -> None:
    browser = first_step()
    browser.post("/admin/login/code/", {"code": factor(0)})
    assert "code" in browser.post("/admin/account/second-factor/off/", {"code": "000000"}).context["form"].errors
    assert browser.post("/admin/account/second-factor/off/", {"code": factor(1)}).status_code == 302
    assert token().status_code == 200
    assert Event.objects.get(kind="security.second_factor_removed").message.endswith("by ada.")


def test_new_recovery_codes_end_the_old_ones(ada: Any, factor: Code) -> None:
    old = renew_recovery_codes(user=ada)[0]
    browser = first_step()
    browser.post("/admin/login/code/", {"code": factor(0)})
    codes = browser.post("/admin/account/second-factor/codes/", {"code": factor(1)}).context["codes"]
    assert token(old).status_code == 401
    assert token(codes[0]).status_code == 200


def test_an_admin_takes_anothers_off_and_the_audit_says_so(ada: Any, factor: Code) -> None:
    operator = browser_of("operator")
    address = f"/admin/auth/user/{ada.pk}/reset-factor/"
    assert operator.post(address).status_code == 403
    assert browser_of("admin").get(address).status_code == 405
    browser_of("admin").post(address)
    assert token().status_code == 200
    found = Entry.objects.filter(action="second-factor.reset", outcome="done").get()
    assert (found.who, found.object_name) == ("admin", "ada")


def test_the_command_takes_it_off_where_nobody_can_log_in(ada: Any, factor: Code) -> None:
    call_command("reset_second_factor", "ada")
    assert token().status_code == 200
    with pytest.raises(SystemExit) as stopped:
        call_command("reset_second_factor", "nobody")
    assert stopped.value.code == 2


@pytest.mark.parametrize(("asked", "gated"), [("admin", True), ("operator", True), ("", False)])
def test_a_role_can_be_made_to_have_one(ada: Any, settings: Any, asked: str, gated: bool) -> None:
    settings.BACKUPSITE_REQUIRE_SECOND_FACTOR = asked
    browser = first_step()
    assert is_in(browser) is not gated
    assert (token().status_code == 403) is gated
    if gated:
        assert token().json()["code"] == "second_factor_required"
        assert browser.get("/admin/")["Location"] == "/admin/account/second-factor/"
        browser.post("/admin/account/second-factor/begin/")
        code = pyotp.TOTP(secret_of(ada)).now()
        browser.post("/admin/account/second-factor/confirm/", {"first_code": code, "password": PASSWORD})
        assert is_in(browser)
        later = pyotp.TOTP(secret_of(ada)).generate_otp(int(time.time()) // STEP_S + 1)
        browser.post("/admin/account/second-factor/off/", {"code": later})
        assert Account.objects.get().totp_confirmed_at is not None


def test_a_role_that_needs_one_is_not_reached_with_the_sessions_of_before(settings: Any) -> None:
    settings.BACKUPSITE_REQUIRE_SECOND_FACTOR = "admin"
    vera = user_with("operator", username="vera", password=PASSWORD)
    vera.is_staff = True
    vera.save()
    given = {"username": "vera", "password": PASSWORD}
    browser = Client()
    browser.post("/admin/login/", given)
    refresh = {"refresh": APIClient().post("/api/token", given, format="json").json()["refresh"]}
    user_with("admin", username="boss")
    save_user(user=vera, values={"role": "operator", "first_name": "Vera"})
    assert is_in(browser)  # as long as the role stays
    save_user(user=vera, values={"role": "admin"})
    assert not is_in(browser)
    assert APIClient().post("/api/token/refresh", refresh, format="json").status_code == 401


def test_a_program_is_refused_too_once_the_site_asks_for_one(ada: Any, settings: Any) -> None:
    refresh = {"refresh": token().json()["refresh"]}
    settings.BACKUPSITE_REQUIRE_SECOND_FACTOR = "admin"
    answer = APIClient().post("/api/token/refresh", refresh, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_required")


def test_a_weaker_role_is_not_asked(settings: Any) -> None:
    settings.BACKUPSITE_REQUIRE_SECOND_FACTOR = "admin"
    user_with("viewer", username="vera", password=PASSWORD)
    body = {"username": "vera", "password": PASSWORD}
    assert APIClient().post("/api/token", body, format="json").status_code == 200
