"""Artefacts over HTTP: whole, in parts, by link, and decrypted."""

import gzip
import hashlib
import time
import urllib.request
from base64 import b64encode
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core import signing
from django.utils import timezone
from rest_framework.test import APIClient

from backups.destinations import open_storage
from backups.models import Backup, Copy
from backups.pipeline.encode import encode
from backups.pipeline.encoding import Encoding
from backups.pipeline.keys import generate_identity
from backups.storage.readers import BytesReader
from tests.api import api, make_backup, make_database
from tests.room import local_destination, s3_destination
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db
CONTENT = bytes(range(256)) * 10_000  # more than two blocks


def stored_backup(destination: Any, content: bytes = CONTENT, **values: Any) -> Backup:
    backup = make_backup(
        make_database(),
        destination=destination,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        **values,
    )
    open_storage(destination).write(backup.copies.get().key, BytesReader(content))
    return backup


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    return stored_backup(local_destination(tmp_path / "artefacts"))


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def get(backup: Backup, **headers: str) -> Any:
    return api("operator").get(f"/api/backups/{backup.pk}/download", headers=headers)


def test_the_artefact_is_streamed_with_its_length_and_digest(backup: Backup) -> None:
    answer = get(backup, accept="application/octet-stream")
    assert answer.status_code == 200
    assert body(answer) == CONTENT
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    digest = b64encode(hashlib.sha256(CONTENT).digest()).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert answer.headers["ETag"] == f'"{backup.sha256}"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert f'filename="{backup.pk}-1.dump.zst"' in answer.headers["Content-Disposition"]


def test_head_tells_the_same_without_the_bytes(backup: Backup) -> None:
    answer = api("operator").head(f"/api/backups/{backup.pk}/download")
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(CONTENT)))
    assert body(answer) == b""


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, len(CONTENT)),
        ("bytes=-7", len(CONTENT) - 7, len(CONTENT)),
        ("bytes=1000000-2000000", 1_000_000, 2_000_001),
        ("bytes=10-99999999999", 10, len(CONTENT)),
        ("bytes=-99999999999", 0, len(CONTENT)),
    ],
)
def test_a_range_gives_that_part(backup: Backup, asked: str, start: int, end: int) -> None:
    answer = get(backup, range=asked)
    assert answer.status_code == 206
    assert body(answer) == CONTENT[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    assert answer.headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=2-1", "bytes=", "bytes=-", "items=0-1", "bytes=0-1,5-6", "bytes=a-b"])
def test_a_range_that_is_none_gives_the_whole(backup: Backup, asked: str) -> None:
    assert get(backup, range=asked).status_code == 200


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=99999999999-", "bytes=-0"])
def test_a_range_behind_the_end_is_416(backup: Backup, asked: str) -> None:
    answer = get(backup, range=asked)
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_range_of_another_artefact_gives_the_whole(backup: Backup) -> None:
    assert get(backup, range="bytes=0-1", if_range='"other"').status_code == 200
    assert get(backup, range="bytes=0-1", if_range=f'"{backup.sha256}"').status_code == 206


def test_a_vanished_object_is_said_before_any_byte(backup: Backup) -> None:
    copy = backup.copies.get()
    open_storage(copy.destination).delete(copy.key)
    answer = get(backup)
    assert (answer.status_code, answer.json()["code"]) == (409, "object_missing")


def test_a_backup_without_a_copy_is_a_conflict(backup: Backup) -> None:
    Copy.objects.update(state=Copy.State.QUARANTINED)
    assert get(backup).status_code == 409


def link(backup: Backup, **values: Any) -> Any:
    return api("operator").post(f"/api/backups/{backup.pk}/download-link", values, format="json")


def test_a_link_needs_no_other_credentials(backup: Backup) -> None:
    answer = link(backup, expires_in=60)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    made = answer.json()
    left = datetime.fromisoformat(made["expires_at"]) - timezone.now()
    assert 50 < left.total_seconds() <= 60
    path = urlsplit(made["url"]).path
    assert body(APIClient().get(path)) == CONTENT
    assert APIClient().get(path, headers={"range": "bytes=0-4"}).status_code == 206
    assert APIClient().get(path, headers={"authorization": "Bearer wrong"}).status_code == 200


def test_a_link_names_the_public_address(backup: Backup, settings: Any) -> None:
    settings.BACKUPSITE_PUBLIC_URL = "https://backups.example"
    assert link(backup).json()["url"].startswith("https://backups.example/api/downloads/")


def test_a_link_ends_with_its_time_or_its_backup(backup: Backup) -> None:
    path = urlsplit(link(backup).json()["url"]).path
    stale = signing.dumps({"backup": backup.pk, "decrypt": False, "until": time.time() - 1}, salt="backups.download")
    assert APIClient().get(f"/api/downloads/{stale}").status_code == 404
    assert APIClient().get(path[:-1] + ("A" if path[-1] != "A" else "B")).status_code == 404
    assert api("admin").delete(f"/api/backups/{backup.pk}").status_code == 204
    assert APIClient().get(path).status_code == 404


@pytest.mark.parametrize("values", [{"expires_in": 0}, {"expires_in": 10**9}, {"expires_in": "x"}, {"decrypt": 7}])
def test_a_link_that_cannot_be_is_refused(backup: Backup, values: dict[str, Any]) -> None:
    assert link(backup, **values).status_code == 400


def encrypted_backup(tmp_path: Path, recipient: str, plain: bytes) -> Backup:
    with encode(BytesIO(plain), encoding=Encoding("gzip", recipients=(recipient,))) as reader:
        content = reader.read(-1)
    values = {"encryption": "age", "compression": "gzip", "original_size": len(plain)}
    return stored_backup(local_destination(tmp_path / "artefacts"), content, **values)


def test_a_decrypted_link_takes_the_age_layer_off(tmp_path: Path, settings: Any) -> None:
    identity, recipient = generate_identity()
    plain = b"the orders of the shop" * 100_000
    backup = encrypted_backup(tmp_path, recipient, plain)
    settings.BACKUPSITE_AGE_IDENTITIES = [identity]
    answer = APIClient().get(urlsplit(link(backup, decrypt=True).json()["url"]).path)
    assert answer.status_code == 200
    assert "Content-Length" not in answer.headers
    assert gzip.decompress(body(answer)) == plain
    # Ranges are not offered.
    assert answer.headers["Accept-Ranges"] == "none"


def test_without_a_key_there_is_no_decrypted_link(tmp_path: Path, settings: Any) -> None:
    backup = encrypted_backup(tmp_path, generate_identity()[1], b"orders")
    settings.BACKUPSITE_AGE_IDENTITIES = []
    answer = link(backup, decrypt=True)
    assert (answer.status_code, answer.json()["code"]) == (422, "missing_key")


def test_a_wrong_key_is_said_before_any_byte(tmp_path: Path, settings: Any) -> None:
    backup = encrypted_backup(tmp_path, generate_identity()[1], b"orders")
    settings.BACKUPSITE_AGE_IDENTITIES = [generate_identity()[0]]
    answer = APIClient().get(urlsplit(link(backup, decrypt=True).json()["url"]).path)
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_key")


def test_a_link_into_s3_is_the_stores_own(s3: S3Server, s3_bucket: str) -> None:
    backup = stored_backup(s3_destination(s3, s3_bucket))
    assert body(get(backup, range="bytes=3-9")) == CONTENT[3:10]
    url = link(backup).json()["url"]
    assert url.startswith(s3.endpoint_url)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == CONTENT
        assert f"{backup.pk}-1.dump.zst" in answer.headers["Content-Disposition"]
