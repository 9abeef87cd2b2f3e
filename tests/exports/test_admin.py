"""Exports in the admin: lists, pages, forms, and who may. What is in an export is shown to nobody."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backupsite.management import checks
from exports.models import Export, ExportPolicy, Source
from exports.services.links import make_link, open_link, token_of
from exports.services.save_source import save_source
from jobs.errors import BackupError
from jobs.fields import unseal
from jobs.models import Status
from tests.api import browser_of
from tests.servers.records import RecordsServer

pytestmark = pytest.mark.django_db

LIST, SOURCES = "/admin/exports/export/", "/admin/exports/source/"
POLICY = "/admin/exports/exportpolicy/1/change/"
PUBKEY = "ab" * 32


def make_export(status: str = Status.COMPLETED, **values: Any) -> Export:
    now = timezone.now()
    given = {"size": 10, "original_size": 20, "file_count": 3, "sha256": "cd" * 32, "finished_at": now}
    collections = {"posts": {"records": 4711, "since": None}}
    manifest = {"index": {"sources": [{"id": "posts", "name": "The posts", "collections": collections}]}}
    given |= {"expires_at": now + timedelta(days=7), "manifest": manifest, "metadata": {"note": "between us"}}
    return Export.objects.create(pubkey=PUBKEY, status=status, **{**given, **values})


def make_source(service: RecordsServer) -> Source:
    options = {"url": f"{service.url}/list/{{pubkey}}", "collection": "posts", "auth": "bearer", "token": "hush-hush"}
    values = {"id": "posts", "name": "The posts", "options": options}
    return save_source(source=Source(kind="http"), values=values, create=True)


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_every_page_opens(records_service: RecordsServer, role: str) -> None:
    browser, export = browser_of(role), make_export()
    failed = make_export(Status.FAILED, size=None, expires_at=None, error_message="No relay answered.", manifest={})
    make_source(records_service)
    pages = [LIST, f"{LIST}?q={PUBKEY[:9]}", f"{LIST}{export.pk}/change/", f"{LIST}{failed.pk}/change/", POLICY]
    pages += [SOURCES, f"{SOURCES}posts/change/"]
    assert {url: browser.get(url).status_code for url in pages} == dict.fromkeys(pages, 200)
    assert browser.get("/admin/exports/exportpolicy/").headers["Location"] == POLICY
    assert all(url in browser.get("/admin/").content.decode() for url in (LIST, SOURCES))


def test_the_page_counts_and_does_not_tell() -> None:
    export = make_export()
    make_link(export=export)
    page = browser_of("admin").get(f"{LIST}{export.pk}/change/").content.decode()
    assert all(text in page for text in (PUBKEY, "The posts", "4711", "not yet"))
    assert "between us" not in page
    assert (token_of(export=export) or "?") not in page


def test_sources_without_an_address_of_the_site_are_warned_of(records_service: RecordsServer, settings: Any) -> None:
    settings.BACKUPSITE_EXPORT_ORIGINS = ["https://backups.example.com"]
    browser, pages = browser_of("viewer"), [SOURCES, f"{SOURCES}posts/change/", POLICY]
    missing = "BACKUPSITE_PUBLIC_URL"
    source = make_source(records_service)
    assert all(missing not in browser.get(page).content.decode() for page in pages)
    assert [state for state, *_ in checks.exports()] == ["OK"]
    settings.BACKUPSITE_EXPORT_ORIGINS = []
    assert all(missing in browser.get(page).content.decode() for page in pages)
    assert [(state, missing in hint) for state, _, hint in checks.exports()] == [("WARN", True)]
    Source.objects.filter(pk=source.pk).update(enabled=False)  # nobody is to come
    assert all(missing not in browser.get(page).content.decode() for page in pages)
    assert [state for state, *_ in checks.exports()] == ["OK"]


def test_past_its_time_it_is_expired_before_the_sweeper_came_by() -> None:
    export = make_export(expires_at=timezone.now() - timedelta(seconds=1))
    page = browser_of("viewer").get(f"{LIST}{export.pk}/change/").content.decode()
    assert "bks-expired" in page
    assert "bks-completed" not in page


def test_an_operator_revokes_the_link_and_cancels() -> None:
    export, waiting = make_export(), make_export(Status.PENDING, size=None, expires_at=None)
    make_link(export=export)
    token = token_of(export=export) or ""
    browser = browser_of("operator")
    assert browser.get(f"{LIST}{export.pk}/revoke/").status_code == 405
    open_link(token=token)
    assert browser.post(f"{LIST}{export.pk}/revoke/").status_code == 302
    with pytest.raises(BackupError) as refused:
        open_link(token=token)
    assert refused.value.code == "link_over"
    browser.post(f"{LIST}{waiting.pk}/cancel/")
    waiting.refresh_from_db()
    assert waiting.status == Status.CANCELLED


def test_a_viewer_changes_nothing(records_service: RecordsServer) -> None:
    export, browser = make_export(), browser_of("viewer")
    make_source(records_service)
    acts = [f"{LIST}{export.pk}/{name}/" for name in ("revoke", "cancel", "delete")]
    acts += [f"{SOURCES}posts/{name}/" for name in ("check", "edit", "delete")]
    acts += [f"{SOURCES}add/?kind=http", "/admin/exports/exportpolicy/1/edit/"]
    assert {url: browser.post(url).status_code for url in acts} == dict.fromkeys(acts, 403)
    assert Source.objects.exists()


def test_an_admin_deletes_an_export() -> None:
    export, browser = make_export(), browser_of("admin")
    assert "no longer fetch it" in browser.get(f"{LIST}{export.pk}/delete/").content.decode()
    assert Export.objects.exists()
    browser.post(f"{LIST}{export.pk}/delete/")
    assert not Export.objects.exists()


def form_of(service: RecordsServer, **values: Any) -> dict[str, Any]:
    given = {"id": "posts", "name": "The posts", "enabled": "on", "options.url": f"{service.url}/list/{{pubkey}}"}
    given |= {"options.collection": "posts", "options.method": "GET", "options.pagination": "none"}
    given |= {"options.auth": "bearer", "options.token": "hush-hush"}
    numbers = {"page_start": 1, "page_size": 0, "max_bytes": 1 << 30, "max_pages": 10, "timeout_s": 5}
    texts = {"page_param": "page", "cursor_param": "cursor"}
    return {**given, **{f"options.{name}": value for name, value in (numbers | texts).items()}, **values}


def test_an_admin_adds_a_source_changes_it_and_its_secret_stays(records_service: RecordsServer) -> None:
    browser = browser_of("admin")
    assert "Nostr" in browser.get(f"{SOURCES}add/").content.decode()
    answer = browser.post(f"{SOURCES}add/?kind=http", form_of(records_service))
    assert answer.status_code == 302, answer.content.decode()
    page = browser.get(f"{SOURCES}posts/change/").content.decode()
    assert "hush-hush" not in page
    changed = form_of(records_service, **{"name": "Posts", "options.token": ""})
    assert "hush-hush" not in browser.get(f"{SOURCES}posts/edit/").content.decode()
    assert browser.post(f"{SOURCES}posts/edit/", changed).status_code == 302
    source = Source.objects.get()
    assert (source.name, unseal(source.secrets)["options"]) == ("Posts", {"token": "hush-hush"})


def test_a_url_without_the_users_key_is_refused_at_its_field(records_service: RecordsServer) -> None:
    wrong = form_of(records_service, **{"options.url": f"{records_service.url}/list/posts"})
    page = browser_of("admin").post(f"{SOURCES}add/?kind=http", wrong).content.decode()
    assert "Say with {pubkey} where the public key goes" in page
    assert not Source.objects.exists()


def test_a_source_is_checked_in_place(records_service: RecordsServer) -> None:
    make_source(records_service)
    records_service.token = "hush-hush"
    records_service.fill("0" * 64, [])
    browser = browser_of("admin")
    assert "bks-note-bad" not in browser.post(f"{SOURCES}posts/check/").content.decode()
    records_service.token = "another"
    assert "bks-note-bad" in browser.post(f"{SOURCES}posts/check/").content.decode()


def test_limits_are_set_in_the_admin() -> None:
    browser = browser_of("admin")
    numbers = {"creations_per_hour": 2, "queries_per_quarter": 30, "max_open": 1, "link_days": 3, "kept_days": 0}
    form = {**numbers, "max_mib": 5, "enabled": "on", "destination": ""}
    answer = browser.post("/admin/exports/exportpolicy/1/edit/", form)
    assert answer.status_code == 302, answer.content.decode()
    policy = ExportPolicy.objects.get()
    assert {name: getattr(policy, name) for name in numbers} == numbers
    assert (policy.max_bytes, policy.enabled, policy.redirect_to_store) == (5 << 20, True, False)
    refused = browser.post("/admin/exports/exportpolicy/1/edit/", {**form, "max_open": 0})
    assert refused.status_code == 200


def test_the_list_asks_the_same_number_of_questions_however_long_it_is() -> None:
    browser = browser_of("viewer")
    make_export()
    few = queries(browser)
    for _ in range(20):
        make_export()
    assert queries(browser) == few


def queries(browser: Client) -> int:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        browser.get(LIST)
    return len(asked)
