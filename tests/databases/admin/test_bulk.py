"""Many Databases at once: asked first, each checked by its own service, and it is said why not for the others."""

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from backups.models import Backup, Drill
from databases.models import Database
from tests.api import browser_of, make_backup, make_database, make_destination

LIST = "/admin/databases/database/"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def three() -> list[Database]:
    place = make_destination()
    rows = [make_database("a", name="Alpha"), make_database("b", name="Beta", enabled=False), make_database("c")]
    make_backup(rows[0], destination=place)
    return rows


def post(browser: Client, action: str, *chosen: str, **more: Any) -> Any:
    sent = {"action": action, "_selected_action": chosen, "index": "0", "select_across": "0", **more}
    return browser.post(LIST, sent)


def told(answer: Any) -> str:
    return " ".join(map(str, get_messages(answer.wsgi_request)))


def test_it_asks_first_and_does_nothing_yet() -> None:
    answer = post(browser_of("operator"), "back_up_all", "a", "c")
    page = answer.content.decode()
    assert "Back up 2 Databases now?" in page
    assert "Alpha" in page
    assert "Beta" not in page
    assert Backup.objects.count() == 1


def test_what_was_asked_is_done_to_those_that_allow_it_and_the_others_are_named() -> None:
    answer = post(browser_of("operator"), "back_up_all", "a", "b", "c", confirmed="1")
    assert (answer.status_code, answer["Location"]) == (302, LIST)
    assert sorted(Backup.objects.filter(status="pending").values_list("database", flat=True)) == ["a", "c"]
    assert {str(backup.requested_by) for backup in Backup.objects.filter(status="pending")} == {"operator"}
    assert "2 backups were asked for." in told(answer)
    assert "Not so for 1 Database. Beta: Database b is disabled." in told(answer)


def test_a_drill_is_asked_of_each_that_has_a_backup() -> None:
    answer = post(browser_of("operator"), "drill_all", "a", "c", confirmed="1")
    assert Drill.objects.get().database_id == "a"
    assert "1 drill was asked for." in told(answer)
    assert "There is no backup of c to drill." in told(answer)


def test_they_are_paused_and_resumed_whatever_else_is_wrong_with_them() -> None:
    Database.objects.filter(pk="a").update(host="", timezone="Mars")
    answer = post(browser_of("admin"), "pause_all", "a", "b", confirmed="1")
    assert not Database.objects.get(pk="a").enabled
    assert "1 Database was paused." in told(answer)
    assert "Beta: Database b is paused already." in told(answer)
    post(browser_of("admin"), "resume_all", "b", confirmed="1")
    assert Database.objects.get(pk="b").enabled


def test_what_was_paused_makes_up_for_nothing() -> None:
    before = Database.objects.get(pk="a").scheduled_since
    post(browser_of("admin"), "pause_all", "a", confirmed="1")
    paused = Database.objects.get(pk="a").scheduled_since
    post(browser_of("admin"), "resume_all", "a", confirmed="1")
    assert before < paused < Database.objects.get(pk="a").scheduled_since


def test_all_that_a_filter_matches_are_meant_where_all_were_chosen() -> None:
    browser = browser_of("operator")
    page = browser.post(f"{LIST}?q=Alpha", {"action": "back_up_all", "_selected_action": "a", "select_across": "1"})
    assert "Back up 1 Database now?" in page.content.decode()
    form = {"action": "back_up_all", "_selected_action": "a", "select_across": "1", "confirmed": "1"}
    answer = browser.post(f"{LIST}?enabled__exact=1", form)
    assert sorted(Backup.objects.filter(status="pending").values_list("database", flat=True)) == ["a", "c"]
    assert answer["Location"] == f"{LIST}?enabled__exact=1"


def test_more_refusals_than_fit_are_counted() -> None:
    names = [make_database(f"x{number}", enabled=False).pk for number in range(7)]
    answer = post(browser_of("operator"), "back_up_all", *names, confirmed="1")
    assert "Not so for 7 Databases." in told(answer)
    assert "And 2 more." in told(answer)


@pytest.mark.parametrize(
    ("role", "offered"),
    [
        ("viewer", set()),
        ("operator", {"back_up_all", "drill_all"}),
        ("admin", {"back_up_all", "drill_all", "pause_all", "resume_all"}),
    ],
)
def test_each_role_is_offered_what_it_may_and_gets_no_more(role: str, offered: set[str]) -> None:
    browser = browser_of(role)
    page = browser.get(LIST).content.decode()
    every = {"back_up_all", "drill_all", "pause_all", "resume_all", "delete_selected"}
    assert {name for name in every if f'value="{name}"' in page} == offered
    for name in every - offered:
        post(browser, name, "a", confirmed="1")
    assert (Backup.objects.count(), Drill.objects.count(), Database.objects.filter(enabled=True).count()) == (1, 0, 2)
