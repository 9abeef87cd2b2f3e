"""E-mail through a real SMTP server."""

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from notifications.models import Delivery
from notifications.services.try_channel import try_channel
from tests.notifications.conftest import Post
from tests.notifications.receivers import MailServer, free_port, mail_server


def test_a_mail_says_what_since_when_last_good_error_hint_and_link(
    post: Post, mail: MailServer, settings: object
) -> None:
    settings.BACKUPSITE_PUBLIC_URL = "https://backups.example.com"  # type: ignore[attr-defined]
    post.email(mail.port, recipients=["ops@example.com", "Night <night@example.com>"])
    post.event(
        message="The backup of Shop failed: <pg_dump> was refused.",
        hint="Check the password.",
        data={"since": timezone.now(), "last_good_at": None},
    )
    post.round()
    [(envelope, message)] = mail.mails
    assert envelope.rcpt_tos == ["ops@example.com", "night@example.com"]
    assert message["Subject"] == "[Backupsite] The backup of Shop failed: <pg_dump> was refused."
    assert message["From"] == "backups@example.com"
    assert Delivery.objects.get().message_id in message["Message-ID"]
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    for said in ("backup.failed", "Database: shop", "Since: ", "(less than an hour ago)", "Last good backup: never"):
        assert said in text
    assert "What to do: Check the password." in text
    assert "https://backups.example.com/admin/backups/backup/bkp_aaaaaaaaaaaa/change/" in text
    assert "&lt;pg_dump&gt; was refused" in html
    assert "<pg_dump>" not in html


def test_a_digest_counts_and_shows_the_worst_first(post: Post, mail: MailServer) -> None:
    post.email(mail.port)
    for number in range(30):
        post.event("schedule.skipped", message=f"skipped {number}")
    post.event(message="the worst")
    post.round()
    [(_, message)] = mail.mails
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert message["Subject"] == "[Backupsite] 31 events: 30 schedule.skipped, 1 backup.failed"
    assert text.index("the worst") < text.index("skipped 0")
    assert "And 11 more." in text
    assert "skipped 25" not in text


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_server_that_wants_a_password_gets_it(post: Post) -> None:
    with mail_server(password="s3cret-word") as mail:
        right = post.email(mail.port, username="backups", password="s3cret-word")
        wrong = post.email(mail.port, name="Wrong", username="backups", password="another-word")
        assert try_channel(channel=right).ok
        report = try_channel(channel=wrong)
    assert (report.ok, report.code) == (False, "auth_failed")
    assert "another-word" not in report.error + report.hint


def test_what_the_server_refuses_for_good_is_not_tried_for_days(post: Post, mail: MailServer) -> None:
    post.email(mail.port)
    post.event()
    for refuse, attempts in (("451 later", 1), ("550 never", 2)):
        mail.refuse = refuse
        post.again()
        post.round()
        delivery = Delivery.objects.get(events__kind="backup.failed")
        assert (delivery.attempts, delivery.state) == (attempts, "waiting")
    for _ in range(4):
        post.again()
        post.round()
    delivery.refresh_from_db()
    assert (delivery.attempts, delivery.state) == (5, "failed")


def test_a_server_without_tls_is_not_sent_to_where_tls_is_asked_for(post: Post, mail: MailServer) -> None:
    for security, code in (("starttls", "unsupported"), ("tls", "tls")):
        report = try_channel(channel=post.email(mail.port, security=security, name=security))
        assert (report.ok, report.code) == (False, code)
    assert mail.mails == []


def test_a_server_that_is_not_there_is_said_so(post: Post) -> None:
    report = try_channel(channel=post.email(free_port()))
    assert (report.ok, report.code) == (False, "unreachable")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"host": "no host"}, "host"),
        ({"port": 0}, "port"),
        ({"security": "ssl"}, "security"),
        ({"sender": "nobody"}, "sender"),
        ({"sender": "a@example.com\nBcc: b@example.com"}, "sender"),
        ({"recipients": []}, "recipients"),
        ({"recipients": ["ops@example.com", "ops"]}, "recipients"),
        ({"password": "x"}, "username"),
        ({"url": "https://example.com"}, "url"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_saved(post: Post, values: dict[str, object], field: str) -> None:
    port = values.pop("port", 25)
    with pytest.raises(ValidationError) as raised:
        post.email(port, **values)  # type: ignore[arg-type]
    assert list(raised.value.message_dict) == [field]
