"""The login: who has no role gets in nowhere, who guesses is held off."""

from collections.abc import Callable

from django.contrib.auth.models import User
from django.test import Client

from jobs.models import Quota
from tests.backupsite.admin.conftest import PASSWORD

LogIn = Callable[[str], Client]


def _try(password: str) -> str:
    return Client().post("/admin/login/", {"username": "admin", "password": password}).content.decode()


def test_the_right_password_opens_the_first_page(log_in: LogIn) -> None:
    log_in("admin")
    answer = Client().post("/admin/login/?next=/admin/", {"username": "admin", "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_guessing_is_held_off_even_with_the_right_password_at_last(log_in: LogIn) -> None:
    log_in("admin")
    assert "correct username and password" in _try("wrong")
    for _ in range(9):
        _try("wrong")
    assert "Too many attempts" in _try(PASSWORD)
    assert Quota.objects.exists()


def test_a_user_without_a_role_sees_nothing(db: None) -> None:
    user = User.objects.create_user("nobody", password=PASSWORD, is_staff=True)
    browser = Client()
    browser.force_login(user)
    for address in ("databases/database/", "backups/backup/", "auth/user/"):
        assert browser.get(f"/admin/{address}").status_code == 403
