"""People: one role each, a password that is checked, and always one admin."""

from collections.abc import Callable

from django.contrib.auth.models import User
from django.test import Client

from backupsite.management.prepare import make_first_admin
from jobs.roles import Role, role_of

LogIn = Callable[[str], Client]

NEW = {"username": "ada", "role": "operator", "is_active": "on", "password": "a long enough phrase"}


def test_a_new_user_logs_in_with_the_role_given(log_in: LogIn) -> None:
    log_in("admin").post("/admin/auth/user/add/", NEW)
    browser = Client()
    assert browser.login(username="ada", password=NEW["password"])
    assert browser.get("/admin/").status_code == 200
    assert role_of(User.objects.get(username="ada")) == Role.OPERATOR


def test_a_weak_password_is_refused(log_in: LogIn) -> None:
    answer = log_in("admin").post("/admin/auth/user/add/", {**NEW, "password": "password"})
    assert "password" in answer.context["form"].errors
    assert not User.objects.filter(username="ada").exists()


def test_a_user_without_a_password_is_refused(log_in: LogIn) -> None:
    answer = log_in("admin").post("/admin/auth/user/add/", {**NEW, "password": ""})
    assert "password" in answer.context["form"].errors


def test_an_empty_password_leaves_it_as_it_is(log_in: LogIn) -> None:
    browser = log_in("admin")
    browser.post("/admin/auth/user/add/", NEW)
    user = User.objects.get(username="ada")
    browser.post(f"/admin/auth/user/{user.pk}/edit/", {**NEW, "role": "viewer", "password": ""})
    assert Client().login(username="ada", password=NEW["password"])
    assert role_of(User.objects.get(username="ada")) == Role.VIEWER


def test_the_last_admin_stays_an_admin(log_in: LogIn) -> None:
    browser = log_in("admin")
    admin = User.objects.get(username="admin")
    url = f"/admin/auth/user/{admin.pk}/edit/"
    for change in ({"role": "viewer", "is_active": "on"}, {"role": "admin"}):
        answer = browser.post(url, {"username": "admin", "password": "", **change})
        assert "only active admin" in str(answer.context["form"].errors["role"])
    assert role_of(User.objects.get(username="admin")) == Role.ADMIN


def test_an_inactive_user_has_no_role(log_in: LogIn) -> None:
    browser = log_in("admin")
    browser.post("/admin/auth/user/add/", NEW)
    user = User.objects.get(username="ada")
    browser.post(f"/admin/auth/user/{user.pk}/edit/", {"username": "ada", "role": "operator", "password": ""})
    assert role_of(User.objects.get(username="ada")) == Role.NONE


def test_an_admin_who_is_no_superuser_suffices_at_the_next_start(log_in: LogIn) -> None:
    log_in("admin")
    make_first_admin(tell=lambda text: None)
    assert not User.objects.filter(is_superuser=True).exists()
