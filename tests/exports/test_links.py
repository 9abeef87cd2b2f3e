"""Links to exports: they stream, end, are revoked and counted, and are told to nobody."""

import logging
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from django.utils import timezone

from backups.models import Destination
from backupsite.logs import scrub
from exports.models import Export, ExportLink
from exports.services.links import note_use, open_link, token_of
from exports.services.remove import expire_exports, remove_deleted
from exports.services.request import request_export
from exports.services.save_policy import save_export_policy
from jobs.errors import BackupError
from jobs.models import Status
from tests.api import api
from tests.exports.signing import ORIGIN, User, code_of
from tests.room import finish, s3_destination
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db(transaction=True)
ADA = User("ada")


@pytest.fixture
def export(offered: str) -> Export:
    request_export(pubkey=ADA.pubkey, type="full")
    found = finish(Export.objects.get())
    assert found.status == Status.COMPLETED, found.error_message
    return found


def address(export: Export) -> str:
    return f"/api/downloads/exports/{token_of(export=export)}"


def fetch(export_or_address: Export | str, method: str = "get", **headers: str) -> Any:
    path = export_or_address if isinstance(export_or_address, str) else address(export_or_address)
    return getattr(User().client, method)(path, headers=headers)


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def uses(export: Export) -> int:
    return int(ExportLink.objects.get(export=export, revoked_at=None).uses)


def test_it_streams_the_zip_and_says_how_it_may_be_kept(export: Export, tmp_path: Path) -> None:
    answer = fetch(export)
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="export_')
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert int(answer.headers["Content-Length"]) == export.size
    archive = tmp_path / "export.zip"
    archive.write_bytes(content(answer))
    subprocess.run(["unzip", "-tq", str(archive)], check=True)


def test_parts_are_given_and_a_download_is_counted_once(export: Export) -> None:
    whole = content(fetch(export))
    assert uses(export) == 1
    part = fetch(export, range="bytes=10-19")
    assert (part.status_code, content(part)) == (206, whole[10:20])
    assert content(fetch(export, range="bytes=-5")) == whole[-5:]
    assert content(fetch(export, range="bytes=100-")) == whole[100:]
    head = fetch(export, "head")
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(whole)), b"")
    assert uses(export) == 1
    assert content(fetch(export, range="bytes=0-9")) == whole[:10]  # the first part of one that comes in parts
    stale = fetch(export, **{"range": "bytes=10-", "if-range": '"another"'})
    assert (stale.status_code, content(stale)) == (200, whole)
    assert uses(export) == 3
    assert code_of(fetch(export, range=f"bytes={len(whole)}-")) == (416, "range_not_satisfiable")
    assert uses(export) == 3
    assert content(fetch(export, range=f"bytes=-{len(whole) + 1}")) == whole  # its last bytes are all of them
    assert uses(export) == 4


def _revoked(export: Export) -> None:
    ExportLink.objects.update(revoked_at=timezone.now())


def _past(export: Export) -> None:
    Export.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def _swept(export: Export) -> None:
    _past(export)
    assert (expire_exports(), remove_deleted()) == (1, 1)
    assert not export.objects_stored.exists()


def _ended(export: Export) -> None:
    ExportLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize("ends", [_revoked, _past, _swept, _ended])
def test_what_is_over_answers_410(export: Export, ends: Callable[[Export], None]) -> None:
    path = address(export)
    ends(export)
    answer = fetch(path)
    assert code_of(answer) == (410, "link_over")
    assert ExportLink.objects.get().uses == 0


@pytest.mark.parametrize("path", ["x", "A" * 43, "A" * 5000])
def test_what_never_was_answers_404(path: str) -> None:
    assert code_of(fetch(f"/api/downloads/exports/{path}")) == (404, "link_unknown")


def test_its_owner_ends_it_and_gets_another(export: Export) -> None:
    old = address(export)
    answer = ADA.post(f"/api/backup/{export.pk}/revoke-link")
    assert answer.status_code == 200
    assert set(answer.json()) == {"resultUrl", "expires"}
    new = answer.json()["resultUrl"].removeprefix(ORIGIN)
    assert code_of(fetch(old)) == (410, "link_over")
    assert fetch(new).status_code == 200
    assert new == address(export) != old


def test_a_link_is_256_random_bits_that_the_rows_do_not_hold(export: Export) -> None:
    token = token_of(export=export)
    assert token is not None and len(token) == 43
    row = ExportLink.objects.get()
    assert token not in {row.nonce, row.digest}
    assert token not in str(ExportLink.objects.values())


def test_a_new_key_of_the_site_gives_a_new_link(export: Export, settings: Any) -> None:
    old = address(export)
    settings.SECRET_KEY = "another"
    assert fetch(old).status_code == 200  # until its owner looks
    new = address(export)
    assert new != old
    assert fetch(new).status_code == 200
    assert code_of(fetch(old)) == (410, "link_over")


def test_uses_are_counted_however_many_come_at_once(export: Export) -> None:
    link = open_link(token=str(token_of(export=export)))
    note_use(link=link)
    note_use(link=link)
    assert uses(export) == 2
    assert ExportLink.objects.get().last_used_at is not None


def test_a_link_without_an_object_is_no_500(export: Export) -> None:
    export.objects_stored.all().delete()
    assert code_of(fetch(export)) == (409, "vanished")


def test_with_local_storage_nobody_is_sent_elsewhere(export: Export) -> None:
    save_export_policy(values={"redirect_to_store": True})
    assert fetch(export).status_code == 200


def test_who_fetches_is_sent_to_the_store_only_where_the_policy_says_so(
    origin: str, shop: Any, s3: S3Server, s3_bucket: str
) -> None:
    s3_destination(s3, s3_bucket)
    request_export(pubkey=ADA.pubkey, type="full")
    export = finish(Export.objects.get())
    assert export.status == Status.COMPLETED, export.error_message
    whole = content(fetch(export))
    save_export_policy(values={"redirect_to_store": True})
    sent = fetch(export)
    assert sent.status_code == 302
    assert (sent.headers["Cache-Control"], sent.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert "X-Amz-Expires=60" in sent.headers["Location"]
    assert uses(export) == 2
    fetch(export, range="bytes=10-")
    assert uses(export) == 2
    with urlopen(Request(sent.headers["Location"]), timeout=30) as answer:
        assert answer.read() == whole
        assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_link_is_in_no_log(export: Export, caplog: pytest.LogCaptureFixture) -> None:
    path = address(export)
    Destination.objects.update(path="/nowhere/at/all")
    with caplog.at_level(logging.DEBUG):
        answer = fetch(path)
    assert answer.status_code in (409, 503)
    said = "\n".join(scrub(record.getMessage()) for record in caplog.records)
    assert path.rpartition("/")[2] not in said
    assert path.rpartition("/")[2] not in answer.content.decode()
    assert "***" in scrub(f"GET {path} failed") and path not in scrub(f"GET {path} failed")


def test_operators_see_no_link(export: Export) -> None:
    token = str(token_of(export=export))
    shown = api("admin").get(f"/api/exports/{export.pk}").content.decode()
    assert token not in shown and "resultUrl" not in shown
    with pytest.raises(BackupError, match="no such link"):
        open_link(token=ExportLink.objects.get().nonce)
