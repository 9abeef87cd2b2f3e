"""Every page opens, in every state, for whoever may read it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from backups.models import Backup
from jobs.models import LogLine, Status

LogIn = Callable[[str], Client]
MakeBackup = Callable[..., Backup]


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_every_page_opens_for_every_role(log_in: LogIn, role: str, every_page: list[str]) -> None:
    browser = log_in(role)
    assert {url: browser.get(url).status_code for url in every_page} == dict.fromkeys(every_page, 200)


def test_admins_have_forms_users_and_keys(log_in: LogIn, every_page: list[str]) -> None:
    browser = log_in("admin")
    done = Backup.objects.filter(status=Status.COMPLETED).get()
    pages = [
        "/admin/databases/database/add/",
        "/admin/databases/database/shop/edit/",
        "/admin/databases/database/shop/delete/",
        "/admin/backups/destination/add/",
        "/admin/backups/destination/add/?kind=local",
        "/admin/backups/destination/add/?kind=s3",
        "/admin/backups/destination/disk/edit/",
        "/admin/backups/destination/disk/delete/",
        f"/admin/backups/backup/{done.pk}/restore/",
        f"/admin/backups/backup/{done.pk}/verify/",
        f"/admin/backups/backup/{done.pk}/label/",
        f"/admin/backups/backup/{done.pk}/delete/",
        "/admin/auth/user/",
        "/admin/auth/user/add/",
        "/admin/api/apikey/",
        "/admin/api/apikey/add/",
    ]
    assert {url: browser.get(url).status_code for url in pages} == dict.fromkeys(pages, 200)


def test_an_empty_site_says_what_to_do_first(log_in: LogIn) -> None:
    page = log_in("admin").get("/admin/").content.decode()
    assert "Four steps to the first proven backup" in page
    assert "Add a destination" in page


def test_an_empty_list_says_how_to_fill_it(log_in: LogIn) -> None:
    browser = log_in("admin")
    assert "choose Back up now" in browser.get("/admin/backups/backup/").content.decode()
    assert "Nothing matches" in browser.get("/admin/backups/backup/?status__exact=failed").content.decode()


@pytest.mark.parametrize("address", ["/admin/django_celery_beat/periodictask/", "/admin/auth/group/"])
def test_tables_kept_in_step_by_others_are_hidden(log_in: LogIn, address: str) -> None:
    assert log_in("admin").get(address).status_code == 404


def test_a_page_of_something_that_does_not_exist_is_not_found(log_in: LogIn) -> None:
    assert log_in("admin").get("/admin/backups/backup/bkp_nothing/change/").status_code == 404


class TestProgress:
    def _url(self, page: Any) -> str:
        return str(page.context["progress_url"]) + "?seen=" + str(page.context["seen"])

    @pytest.fixture
    def running(self, make_backup: MakeBackup) -> Backup:
        return make_backup(Status.IN_PROGRESS, phase="dump", bytes_done=10, bytes_total_estimate=1000)

    def test_nothing_new_is_no_content(self, log_in: LogIn, running: Backup) -> None:
        browser = log_in("viewer")
        page = browser.get(f"/admin/backups/backup/{running.pk}/change/")
        answer = browser.get(self._url(page))
        assert (answer.status_code, answer.content) == (204, b"")

    @pytest.mark.parametrize("change", [{"bytes_done": 500}, {"phase": "read_back"}, {"cancel_requested": True}])
    def test_what_has_changed_is_sent(self, log_in: LogIn, running: Backup, change: dict[str, Any]) -> None:
        browser = log_in("viewer")
        page = browser.get(f"/admin/backups/backup/{running.pk}/change/")
        Backup.objects.filter(pk=running.pk).update(**change)
        answer = browser.get(self._url(page))
        assert answer.status_code == 200
        assert b'hx-trigger="every 2s"' in answer.content
        assert b"<html" not in answer.content

    def test_a_new_line_of_the_log_is_sent(self, log_in: LogIn, running: Backup) -> None:
        browser = log_in("viewer")
        page = browser.get(f"/admin/backups/backup/{running.pk}/change/")
        LogLine.objects.create(job_kind="backup", job_id=running.pk, attempt=1, message="half of it")
        assert b"half of it" in browser.get(self._url(page)).content

    def test_the_end_stops_the_polling(self, log_in: LogIn, running: Backup) -> None:
        browser = log_in("viewer")
        page = browser.get(f"/admin/backups/backup/{running.pk}/change/")
        Backup.objects.filter(pk=running.pk).update(status=Status.FAILED, error_message="It broke.")
        answer = browser.get(self._url(page))
        assert answer.status_code == 286
        assert b"It broke." in answer.content
        assert b"hx-trigger" not in answer.content
