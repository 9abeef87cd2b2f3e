"""Who comes in and with what rights is told."""

import pytest
from django.contrib.auth.models import User

from backupsite.api.services.api_keys import create_api_key, revoke_api_key
from backupsite.users import save_user
from notifications.models import Event
from tests.api import api, user_with

pytestmark = pytest.mark.django_db


def told() -> list[tuple[str, str]]:
    return list(Event.objects.order_by("pk").values_list("kind", "message"))


def test_a_key_that_is_made_and_revoked_is_told_of_once_and_not_shown() -> None:
    key, secret = create_api_key(name="ci", role="operator", user=user_with("admin"))
    revoke_api_key(key=key)
    revoke_api_key(key=key)
    assert told() == [
        ("security.key_created", "The API key ci with the role operator was made by the-admin."),
        ("security.key_revoked", "The API key ci was revoked."),
    ]
    assert secret not in str(told())


def test_a_new_user_and_another_role_are_told_of_and_nothing_else() -> None:
    values = {"username": "ada", "role": "viewer", "password": "c4nary-and-long", "is_active": True}
    for role in ("viewer", "operator", "admin"):
        user_with(role)  # the groups
    user = save_user(user=User(), values=values)
    save_user(user=user, values={"username": "ada", "role": "viewer", "is_active": True, "first_name": "Ada"})
    save_user(user=User.objects.get(pk=user.pk), values={"username": "ada", "role": "admin", "is_active": True})
    assert told() == [
        ("security.user_created", "The user ada is viewer now."),
        ("security.role_changed", "The user ada is admin now, and was viewer."),
    ]


def test_who_guesses_is_told_of_once_and_a_name_nobody_has_is_not_repeated() -> None:
    client = api("nobody")
    client.force_authenticate(None)
    for _ in range(14):
        client.post("/api/token", {"username": "c4nary", "password": "x"}, format="json")
    [(kind, message)] = told()
    assert kind == "security.login_locked"
    assert message == "Too many attempts to log in as an unknown user from 127.0.0.1."
