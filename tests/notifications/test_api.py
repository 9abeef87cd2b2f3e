"""Channels, rules, mutes, pings and events over HTTP."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from notifications.models import Channel, Mute, Ping, Rule
from notifications.services.record import record_event
from tests.api import api, make_database, user_with
from tests.notifications.conftest import Post
from tests.notifications.receivers import MailServer, Receiver, free_port

MAIL = {
    "name": "Ops",
    "kind": "email",
    "host": "mail.example.com",
    "sender": "backups@example.com",
    "recipients": ["ops@example.com"],
}


def make(body: dict[str, Any], path: str = "channels") -> Any:
    answer = api().post(f"/api/{path}", body, format="json")
    assert answer.status_code == 201, answer.content
    return answer.json()


@pytest.mark.django_db
def test_a_mail_channel_is_made_read_changed_and_deleted() -> None:
    answer = api().post("/api/channels", {**MAIL, "username": "me", "password": "c4nary"}, format="json")
    made = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/api/channels/{made['id']}")
    assert "c4nary" not in answer.content.decode()
    assert (made["port"], made["security"], made["secrets_set"]) == (587, "starttls", ["password"])
    assert made["place"] == "ops@example.com"
    assert made["state"] == {"last_ok_at": None, "failing_since": None, "last_error": ""}
    assert not {"url", "urls", "secret", "password", "signing_secret"} & set(made)
    path = f"/api/channels/{made['id']}"
    changed = api().patch(path, {"name": "Night", "port": 465, "security": "tls"}, format="json").json()
    assert (changed["name"], changed["port"], changed["secrets_set"]) == ("Night", 465, ["password"])
    assert api().patch(path, {"password": ""}, format="json").json()["secrets_set"] == []
    assert api().delete(path).status_code == 204
    assert api().get(path).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**MAIL, "recipients": ["nobody"]}, "recipients"),
        ({**MAIL, "url": "https://example.com"}, "url"),
        ({**MAIL, "hots": "x"}, "hots"),
        ({"name": "Hook", "kind": "webhook"}, "url"),
        ({"name": "Hook", "kind": "webhook", "url": "https://u:c4nary@example.com"}, "url"),
        ({"name": "Hook", "kind": "webhook", "url": "https://example.com", "secret": "c4nary"}, "secret"),
        ({"name": "Chat", "kind": "apprise", "urls": ["nothing://c4nary"]}, "urls"),
        ({"name": "Chat", "kind": "pigeon"}, "kind"),
    ],
)
def test_what_is_wrong_is_said_by_field_and_repeats_no_secret(body: dict[str, object], field: str) -> None:
    answer = api().post("/api/channels", body, format="json")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "c4nary" not in answer.content.decode()
    assert not Channel.objects.exists()


@pytest.mark.django_db
def test_the_kind_of_a_channel_cannot_change() -> None:
    made = make(MAIL)
    assert api().patch(f"/api/channels/{made['id']}", {"kind": "webhook"}, format="json").status_code == 400


def test_the_signing_secret_is_shown_once_and_can_be_changed(post: Post, hook: Receiver) -> None:
    made = make({"name": "Hook", "kind": "webhook", "url": f"{hook.url}/c4nary"})
    path = f"/api/channels/{made['id']}"
    assert "c4nary" not in str(made)
    assert "signing_secret" not in api().get(path).json()
    new = api().post(f"{path}/rotate-secret").json()["signing_secret"]
    assert api().get(path).json()["secrets_set"] == ["old_secret", "secret", "url"]
    assert api().post(f"{path}/test").json()["ok"] is True
    for secret in (made["signing_secret"], new):
        assert Webhook(secret).verify(hook.requests[0].body, hook.requests[0].headers)["type"] == "channel.test"
    assert api().post(f"{path}/drop-old-secret").status_code == 204
    assert api().get(path).json()["secrets_set"] == ["secret", "url"]
    mail = make(MAIL)
    assert api().post(f"/api/channels/{mail['id']}/rotate-secret").status_code == 400


def test_a_test_says_what_happened(post: Post, mail: MailServer) -> None:
    good = make({**MAIL, "host": "127.0.0.1", "port": mail.port, "security": "none"})
    bad = make({**MAIL, "host": "127.0.0.1", "port": free_port(), "security": "none"})
    report = api().post(f"/api/channels/{good['id']}/test").json()
    assert (report["ok"], report["error"]) == (True, "")
    assert "This is a test of the channel Ops" in str(mail.mails[0][1]["Subject"])
    report = api().post(f"/api/channels/{bad['id']}/test").json()
    assert (report["ok"], report["code"]) == (False, "unreachable")
    assert report["hint"]


def test_what_was_sent_is_listed(post: Post, hook: Receiver) -> None:
    channel = post.webhook(hook)
    hook.answer = lambda request: 503
    post.event()
    post.round()
    [delivery] = api().get(f"/api/channels/{channel.pk}/deliveries").json()
    assert (delivery["state"], delivery["attempts"]) == ("waiting", 1)
    assert delivery["message_id"] == hook.requests[0].headers["webhook-id"]
    assert "answered 503" in delivery["error"]


@pytest.mark.django_db
def test_rules_are_made_read_changed_and_deleted() -> None:
    channel = make(MAIL)
    [first] = api().get("/api/rules", {"channel": channel["id"]}).json()["results"]
    assert (first["kinds"], first["min_severity"], first["group_s"]) == (["*"], "warning", 60)
    made = make({"channel_id": channel["id"], "kinds": ["drill.*"], "databases": ["shop"], "group_s": 0}, "rules")
    path = f"/api/rules/{made['id']}"
    assert api().patch(path, {"min_severity": "error"}, format="json").json()["min_severity"] == "error"
    assert api().patch(path, {"kinds": ["dirll.*"]}, format="json").status_code == 400
    assert api().patch(path, {"channel_id": "chn_none"}, format="json").status_code == 400
    assert api().delete(path).status_code == 204


@pytest.mark.django_db
def test_an_operator_mutes_and_ends_the_mute() -> None:
    until = (timezone.now() + timedelta(hours=2)).isoformat()
    body = {"scope": "database", "database_id": "shop", "until": until, "reason": "works"}
    answer = api("operator").post("/api/mutes", body, format="json")
    assert (answer.status_code, answer.json()["created_by"]) == (201, "the-operator")
    assert api("viewer").get("/api/mutes", {"holds": "true"}).json()["count"] == 1
    assert api("operator").delete(f"/api/mutes/{answer.json()['id']}").status_code == 204
    assert api("viewer").get("/api/mutes", {"holds": "true"}).json()["count"] == 0
    assert Mute.objects.count() == 1
    assert (
        api("operator").post("/api/mutes", {**body, "until": "2020-01-01T00:00:00Z"}, format="json").status_code == 400
    )


@pytest.mark.django_db
def test_pings_are_made_read_changed_and_deleted() -> None:
    make_database("shop")
    made = make({"database_id": "shop", "url": "https://hc-ping.com/c4nary"}, "pings")
    assert "c4nary" not in str(made)
    assert (made["place"], made["start_and_fail"]) == ("https://hc-ping.com/…", True)
    path = f"/api/pings/{made['id']}"
    again = api().post("/api/pings", {"database_id": "shop", "url": "https://example.com"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "id_taken")
    stranger = api().post("/api/pings", {"database_id": "nothing", "url": "https://example.com"}, format="json")
    assert stranger.status_code == 400
    assert api().patch(path, {"start_and_fail": False}, format="json").json()["start_and_fail"] is False
    assert Ping.objects.get().open_url() == "https://hc-ping.com/c4nary"
    assert api().patch(path, {"database_id": "crm"}, format="json").status_code == 400
    assert api().delete(path).status_code == 204


@pytest.mark.django_db
def test_a_ping_goes_with_its_database() -> None:
    make_database("shop")
    make({"database_id": "shop", "url": "https://example.com"}, "pings")
    assert api().delete("/api/databases/shop").status_code == 204
    assert not Ping.objects.exists()


@pytest.mark.django_db
def test_a_viewer_reads_events_and_filters_them() -> None:
    for kind, database in (("backup.failed", "shop"), ("backup.completed", "shop"), ("drill.failed", "crm")):
        record_event(kind=kind, subject_id="bkp_x", database_id=database, message=f"{kind} of {database}")
    viewer = api("viewer")

    def kinds(**query: str) -> set[str]:
        return {event["kind"] for event in viewer.get("/api/events", query).json()["results"]}

    assert kinds() == {"backup.failed", "backup.completed", "drill.failed"}
    assert kinds(kind="backup.") == {"backup.failed", "backup.completed"}
    assert kinds(kind="backup.failed") == {"backup.failed"}
    assert kinds(severity="error") == {"backup.failed", "drill.failed"}
    assert kinds(database="crm") == {"drill.failed"}
    assert kinds(search="of shop") == {"backup.failed", "backup.completed"}
    [known] = [kind for kind in viewer.get("/api/events/kinds").json() if kind["name"] == "backup.recovered"]
    assert known["good_news"] is True


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["channels", "rules", "pings"])
def test_who_is_told_is_the_admins_business(path: str) -> None:
    assert api("operator").get(f"/api/{path}").status_code == 403
    assert api("operator").post(f"/api/{path}", {}, format="json").status_code == 403
    assert api("viewer").post("/api/mutes", {}, format="json").status_code == 403


def fill(first: int, last: int) -> None:
    """Rows of every kind."""
    until = timezone.now() + timedelta(hours=1)
    for number in range(first, last):
        record_event(kind="backup.failed", subject_id="bkp_x", message="It failed.")
        channel = Channel.objects.create(name=str(number), kind="webhook", settings={"place": "x"})
        Rule.objects.create(channel=channel)
        Mute.objects.create(scope="all", until=until, created_by=user_with("operator"))
        Ping.objects.create(database_id=f"db{number}", url="https://example.com")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["events", "channels", "rules", "mutes", "pings"])
def test_a_list_asks_as_often_for_many_rows_as_for_few(path: str) -> None:
    client = api()

    def ask() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/api/{path}").status_code == 200
        return len(queries)

    fill(0, 1)
    ask()  # the role of who asks is known from here on
    few = ask()
    fill(1, 6)
    assert ask() == few
