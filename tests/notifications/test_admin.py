"""Notifications in the admin: lists, forms, the test button, and who may."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from notifications.models import Channel, Event, Mute, Ping, Rule
from notifications.services.save_mute import mute
from notifications.services.save_ping import save_ping
from tests.api import browser_of, make_database
from tests.notifications.conftest import Post
from tests.notifications.receivers import MailServer, Receiver
from tests.notifications.test_api import fill

LogIn = Callable[[str], Client]
MODELS = ("event", "channel", "rule", "mute", "ping")
MAIL = {
    "name": "Ops",
    "enabled": "on",
    "host": "mail.example.com",
    "port": "587",
    "security": "starttls",
    "username": "me",
    "password": "c4nary",
    "sender": "backups@example.com",
    "recipients": "ops@example.com\nnight@example.com",
}


def at(model: str, tail: str = "") -> str:
    return f"/admin/notifications/{model}/{tail}"


@pytest.fixture
def log_in(db: None) -> LogIn:
    return browser_of


@pytest.fixture
def rows(post: Post, hook: Receiver) -> dict[str, object]:
    make_database("shop")
    channel = post.webhook(hook)
    event = post.event(hint="<b>Look</b>", data={"last_good_at": None})
    post.round()
    until = timezone.now() + timedelta(hours=1)
    silent = mute(scope="database", database_id="shop", until=until, reason="works")
    ping = save_ping(database_id="shop", url="https://hc-ping.com/c4nary")
    return {"event": event, "channel": channel, "rule": channel.rules.get(), "mute": silent, "ping": ping}


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_every_page_opens_and_none_shows_a_secret(log_in: LogIn, rows: dict[str, object], role: str) -> None:
    browser = log_in(role)
    pages = [at(model) for model in MODELS]
    pages += [at(model, f"{rows[model].pk}/change/") for model in MODELS]  # type: ignore[attr-defined]
    pages += [at("event", "?kind=backup.failed&database=shop&severity__exact=error"), at("event", "?q=shop")]
    for url in pages:
        answer = browser.get(url)
        assert answer.status_code == 200, url
        text = answer.content.decode()
        assert "c4nary" not in text
        assert "whsec_" not in text
    assert "&lt;b&gt;Look" in browser.get(at("event", f"{rows['event'].pk}/change/")).content.decode()  # type: ignore[attr-defined]


def test_what_a_role_may_not_is_refused(log_in: LogIn, rows: dict[str, object]) -> None:
    operator, viewer = log_in("operator"), log_in("viewer")
    channel = rows["channel"].pk  # type: ignore[attr-defined]
    for url in (at("channel", "add/?kind=email"), at("channel", f"{channel}/edit/"), at("rule", "add/")):
        assert operator.get(url).status_code == 403
    for tail in ("test", "rotate", "drop_old"):
        assert operator.post(at("channel", f"{channel}/{tail}/")).status_code == 403
    assert operator.get(at("mute", "add/")).status_code == 200
    assert viewer.get(at("mute", "add/")).status_code == 403
    assert viewer.post(at("mute", f"{rows['mute'].pk}/end/")).status_code == 403  # type: ignore[attr-defined]
    assert log_in("admin").get(at("event", "add/")).status_code == 403


def test_a_mail_channel_is_made_with_its_form(log_in: LogIn) -> None:
    admin = log_in("admin")
    assert "Chats and pagers" in admin.get(at("channel", "add/")).content.decode()
    refused = admin.post(at("channel", "add/?kind=email"), {**MAIL, "recipients": "nobody"}).content.decode()
    assert "e-mail addresses" in refused
    assert "c4nary" not in refused
    assert admin.post(at("channel", "add/?kind=email"), MAIL).status_code == 302
    channel = Channel.objects.get()
    assert (channel.settings["recipients"], channel.secret_names) == (
        ["ops@example.com", "night@example.com"],
        ["password"],
    )
    assert Rule.objects.get().channel == channel
    form = {**MAIL, "password": "", "name": "Night"}
    assert admin.post(at("channel", f"{channel.pk}/edit/"), form).status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.secret_names) == ("Night", ["password"])


def test_a_webhook_shows_its_secret_once(log_in: LogIn, post: Post, hook: Receiver) -> None:
    admin = log_in("admin")
    answer = admin.post(at("channel", "add/?kind=webhook"), {"name": "Hook", "enabled": "on", "url": f"{hook.url}/x"})
    assert post.secret(Channel.objects.get()) in answer.content.decode().replace("&#x2B;", "+")
    assert answer.headers["Cache-Control"]
    channel = Channel.objects.get()
    old = post.secret(channel)
    assert post.secret(channel) not in admin.get(at("channel", f"{channel.pk}/change/")).content.decode()
    admin.post(at("channel", f"{channel.pk}/rotate/"))
    page = admin.post(at("channel", f"{channel.pk}/test/"), headers={"HX-Request": "true"}).content.decode()
    assert "Sent and taken" in page
    Webhook(old).verify(hook.requests[0].body, hook.requests[0].headers)
    admin.post(at("channel", f"{channel.pk}/drop_old/"))
    channel.refresh_from_db()
    assert channel.secret_names == ["secret", "url"]


def test_chats_are_given_a_line_each(log_in: LogIn) -> None:
    urls = "json://127.0.0.1:9/one\n\njson://127.0.0.1:9/two"
    assert (
        log_in("admin")
        .post(at("channel", "add/?kind=apprise"), {"name": "Chat", "enabled": "on", "urls": urls})
        .status_code
        == 302
    )
    assert Channel.objects.get().settings["place"] == "json"


def test_the_test_button_says_what_went_wrong(log_in: LogIn, post: Post, mail: MailServer) -> None:
    channel = post.email(mail.port)
    mail.refuse = "550 not you"
    page = log_in("admin").post(at("channel", f"{channel.pk}/test/"), headers={"HX-Request": "true"}).content.decode()
    assert "refused the message (550)" in page
    assert "not you" not in page


def test_rules_mutes_and_pings_have_forms(log_in: LogIn, rows: dict[str, object]) -> None:
    admin = log_in("admin")
    channel = rows["channel"].pk  # type: ignore[attr-defined]
    rule = {"kinds": "backup.*", "min_severity": "error", "databases": ["shop"], "group_s": "5", "channel": channel}
    assert admin.post(at("rule", "add/"), {**rule, "kinds": "bakcup.*"}).status_code == 200
    assert admin.post(at("rule", "add/"), rule).status_code == 302
    made = Rule.objects.get(min_severity="error")
    assert (made.kinds, made.databases, made.group_s) == (["backup.*"], ["shop"], 5)
    assert admin.post(at("rule", f"{made.pk}/delete/")).status_code == 302
    until = f"{timezone.now() + timedelta(hours=1):%Y-%m-%dT%H:%M}"
    assert admin.post(at("mute", "add/"), {"scope": "kind", "kinds": "drill.*", "until": until}).status_code == 302
    silent = Mute.objects.get(scope="kind")
    assert (silent.kinds, str(silent.created_by)) == (["drill.*"], "admin")
    admin.post(at("mute", f"{silent.pk}/end/"))
    silent.refresh_from_db()
    assert silent.until <= timezone.now()
    ping = Ping.objects.get()
    assert admin.post(at("ping", f"{ping.pk}/edit/"), {"enabled": "on"}).status_code == 302
    ping.refresh_from_db()
    assert (ping.start_and_fail, ping.open_url()) == (False, "https://hc-ping.com/c4nary")
    assert admin.post(at("ping", f"{ping.pk}/delete/")).status_code == 302
    form = {"database_id": "shop", "url": "https://hc-ping.com/again", "enabled": "on", "start_and_fail": "on"}
    assert admin.post(at("ping", "add/"), form).status_code == 302
    assert admin.post(at("channel", f"{channel}/delete/")).status_code == 302
    assert not Rule.objects.exists()


@pytest.mark.parametrize("model", MODELS)
def test_a_list_asks_as_often_for_many_rows_as_for_few(log_in: LogIn, model: str) -> None:
    browser = log_in("admin")

    def ask() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(at(model)).status_code == 200
        return len(queries)

    fill(0, 2)
    few = ask()
    fill(2, 6)
    assert ask() == few


def test_an_event_about_a_user_names_the_user(log_in: LogIn) -> None:
    user = get_user_model().objects.create_user("somebody")
    event = Event.objects.create(
        kind="security.user_created", severity="warning", subject_id=str(user.pk), message="A user was added."
    )
    browser = log_in("admin")
    assert "somebody" in browser.get(at("event")).content.decode()
    page = browser.get(at("event", f"{event.pk}/change/")).content.decode()
    assert "somebody" in page and f"/admin/auth/user/{user.pk}/change/" in page
    user.delete()
    assert "a user who is gone" in browser.get(at("event", f"{event.pk}/change/")).content.decode()


def test_a_rules_page_lists_what_it_sends_and_nothing_else(log_in: LogIn) -> None:
    channel = Channel.objects.create(name="c", kind="webhook", settings={"place": "x"})
    rule = Rule.objects.create(channel=channel, kinds=["drill.*"])
    page = log_in("viewer").get(at("rule", f"{rule.pk}/change/")).content.decode()
    assert "drill.failed" in page and "backup.failed" not in page
