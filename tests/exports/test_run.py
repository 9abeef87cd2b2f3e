"""Exports of users' data, from real relays and a records service, to a place and into stock tools."""

import json
import subprocess
import time
import unicodedata
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Destination
from backups.pipeline.keys import generate_identity
from exports.models import Export, ExportLink, ExportObject, ExportPolicy, Source
from exports.services import run
from exports.services.links import open_link, token_of
from exports.services.remove import delete_export, expire_exports, remove_deleted
from exports.services.request import request_export
from exports.services.save_source import save_source
from jobs.errors import BackupError
from jobs.models import Status
from jobs.services import sweep
from jobs.services.cancel import cancel_job
from jobs.services.run import run_job
from tests.exports.events import Author
from tests.exports.relays import odd_relay, say
from tests.exports.runs import ask, export, lines, made, relays_source, stored_file, unpacked
from tests.room import finish, s3_destination
from tests.servers.nostr import NostrRelay
from tests.servers.process import free_port
from tests.servers.records import RecordsServer
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db(transaction=True)

Relays = tuple[NostrRelay, NostrRelay]
THEN = 1_700_000_000


def by(name: str) -> Author:
    """Somebody that no other test has heard of: relays are shared."""
    return Author(f"{name}-{time.time_ns()}")


@pytest.fixture(autouse=True)
def room(disk: Destination, settings: Any) -> None:
    settings.BACKUPSITE_MAX_ATTEMPTS = 1


def test_five_thousand_events_of_several_authors_on_two_relays_one_down_one_lying(
    nostr_relays: Relays, tmp_path: Path
) -> None:
    ada, bob = by("ada"), by("bob")
    kinds = (0, 1, 3, 5, 7, 1063, 30023)
    own = [
        ada.signs(f"é{number}\n", kind=kinds[number % 7], created_at=THEN + number // 4, tags=[["d", str(number)]])
        for number in range(3500)
    ]
    others = [bob.signs(str(number), created_at=THEN + number) for number in range(2500)]
    nostr_relays[0].load(own[:2500] + others)  # 5,000
    nostr_relays[1].load(own[1500:])

    def lie(relay: Any, socket: Any, message: list[Any]) -> bool:
        if message[0] == "REQ":
            for event in (bob.signs("x"), {**own[0], "content": "y"}, {**own[1], "sig": "0" * 128}):
                say(socket, "EVENT", message[1], event)
            say(socket, "EOSE", message[1])
        return True

    with odd_relay(behave=lie) as liar:
        relays_source(
            nostr_relays[0].url, f"ws://127.0.0.1:{free_port()}", nostr_relays[1].url, liar.url,
            kinds=[str(kind) for kind in kinds],
        )  # fmt: skip
        done = made(ada.pubkey)
    index = unpacked(done, tmp_path / "out")
    found = [event for kind in kinds for event in lines(tmp_path / "out" / "nostr" / f"kind-{kind}.ndjson")]
    assert sorted(found, key=lambda one: one["id"]) == sorted(own, key=lambda one: one["id"])
    (told,) = index["sources"]
    assert [one["state"] for one in told["relays"]] == ["read", "failed", "read", "failed"]
    assert [one.get("reason") for one in told["relays"]] == [None, "unreachable", None, "relay_lies"]
    assert told["relays"][3]["invalid"] == 3
    assert sum(one["given"] for one in told["relays"]) == 3500
    assert sum(one["records"] for one in told["collections"].values()) == 3500
    assert done.file_count == len(kinds) + 2
    assert done.original_size == sum(file.stat().st_size for file in (tmp_path / "out").rglob("*") if file.is_file())
    assert done.size == stored_file(done).stat().st_size
    assert done.size < done.original_size


def test_an_incremental_continues_and_a_selective_chooses(nostr_relays: Relays, tmp_path: Path) -> None:
    ada = by("ada")
    nostr_relays[0].load(
        [ada.signs(str(number), kind=1 + number % 2, created_at=THEN + number) for number in range(60)]
    )
    relays_source(nostr_relays[0].url, kinds=["1", "2"])
    full = made(ada.pubkey)
    new = ada.signs("new")
    nostr_relays[0].fill([new])
    chosen = made(ada.pubkey, "selective", select=[2])
    assert unpacked(chosen, tmp_path / "chosen")["files"][0]["records"] == 30
    assert not (tmp_path / "chosen" / "nostr" / "kind-1.ndjson").exists()
    first = made(ada.pubkey, "incremental")
    assert first.parent == full
    index = unpacked(first, tmp_path / "first")
    assert index["export"]["continues"] == full.pk
    assert lines(tmp_path / "first" / "nostr" / "kind-1.ndjson") == [new]
    assert lines(tmp_path / "first" / "nostr" / "kind-2.ndjson") == []
    second = made(ada.pubkey, "incremental")
    assert second.parent == first
    assert [file["records"] for file in unpacked(second, tmp_path / "second")["files"]] == [0, 0]


def test_an_incremental_continues_what_has_completed_when_it_begins(nostr_relays: Relays) -> None:
    """It may have waited for weeks."""
    ada = by("ada")
    relays_source(nostr_relays[0].url)
    made(ada.pubkey)
    waiting = ask(ada.pubkey, "incremental")
    Export.objects.filter(pk=waiting.pk).update(status=Status.SCHEDULED)
    later = made(ada.pubkey)
    Export.objects.filter(pk=waiting.pk).update(status=Status.PENDING)
    ended = finish(waiting)
    assert (ended.parent, ended.manifest["index"]["export"]["continues"]) == (later, later.pk)


def test_an_incremental_whose_parent_was_deleted_is_told_so(nostr_relays: Relays, tmp_path: Path) -> None:
    ada = by("ada")
    nostr_relays[0].load([ada.signs(str(number), created_at=THEN + number) for number in range(3)])
    relays_source(nostr_relays[0].url)
    full = made(ada.pubkey)
    waiting = ask(ada.pubkey, "incremental")
    delete_export(export=full)
    done = finish(waiting)
    assert done.status == Status.COMPLETED
    index = unpacked(done, tmp_path / "out")
    assert index["export"]["continues"] is None
    assert len(lines(tmp_path / "out" / "nostr" / "events.ndjson")) == 3


def test_records_of_a_service_are_asked_for_by_public_key(records_service: RecordsServer, tmp_path: Path) -> None:
    ada, bob = by("ada"), by("bob")
    for who in (ada, bob):
        records_service.fill(f"{who.pubkey}/posts", [{"id": n, "of": who.pubkey, "at": 1.50} for n in range(250)])
    records_service.token = "s3cret-token"
    options = {
        "url": f"{records_service.url}/cursor/{{pubkey}}%2F{{collection}}",
        "collection": "posts",
        "records_path": "items",
        "pagination": "cursor",
        "cursor_path": "meta.next",
        "auth": "bearer",
        "token": "s3cret-token",
    }
    save_source(source=Source(pk="crm", kind="http"), values={"name": "CRM", "options": options}, create=True)
    done = made(ada.pubkey)
    index = unpacked(done, tmp_path / "out")
    found = lines(tmp_path / "out" / "crm" / "posts.ndjson")
    assert [one["of"] for one in found] == [ada.pubkey] * 250
    assert "s3cret-token" not in json.dumps(index) + json.dumps(done.manifest)


def test_collections_that_would_be_one_file_are_two_on_every_system(
    records_service: RecordsServer, tmp_path: Path
) -> None:
    names = ("Posts", "posts", "a:b", "a?b", "e\u0301", "\u00e9")
    for number, name in enumerate(names):
        records_service.fill(name, [{"id": number}])
    options = {"url": f"{records_service.url}/list/{{collection}}?u={{pubkey}}", "collection": ", ".join(names)}
    save_source(source=Source(pk="crm", kind="http"), values={"name": "CRM", "options": options}, create=True)
    unpacked(made(by("ada").pubkey), tmp_path / "out")
    found = sorted((tmp_path / "out" / "crm").iterdir())
    assert len({unicodedata.normalize("NFC", file.name).casefold() for file in found}) == len(names)
    assert sorted(one["id"] for file in found for one in lines(file)) == list(range(len(names)))


def test_a_source_of_another_kind_under_the_same_id_is_read_from_its_beginning(
    nostr_relays: Relays, records_service: RecordsServer, tmp_path: Path
) -> None:
    ada = by("ada")
    records_service.fill("events", [{"id": 1}])
    options = {"url": f"{records_service.url}/list/{{collection}}?u={{pubkey}}", "collection": "events"}
    save_source(source=Source(pk="nostr", kind="http"), values={"name": "CRM", "options": options}, create=True)
    first = made(ada.pubkey)
    Source.objects.all().delete()
    nostr_relays[0].load([ada.signs("note", created_at=THEN)])
    relays_source(nostr_relays[0].url)
    second = made(ada.pubkey, "incremental")
    assert second.parent == first
    unpacked(second, tmp_path / "out")
    assert len(lines(tmp_path / "out" / "nostr" / "events.ndjson")) == 1


def test_a_recipients_export_opens_with_stock_age_only(nostr_relays: Relays, tmp_path: Path) -> None:
    ada, (identity, recipient) = by("ada"), generate_identity()
    nostr_relays[0].load([ada.signs("secret words", created_at=THEN)])
    relays_source(nostr_relays[0].url)
    done = made(ada.pubkey, recipient=recipient)
    sealed = stored_file(done)
    assert sealed.name.endswith(".zip.age")
    assert b"secret words" not in sealed.read_bytes()
    (tmp_path / "key").write_text(identity)
    subprocess.run(["age", "-d", "-i", str(tmp_path / "key"), "-o", str(tmp_path / "x.zip"), str(sealed)], check=True)
    unpacked(done, tmp_path / "out", archive=tmp_path / "x.zip")
    assert lines(tmp_path / "out" / "nostr" / "events.ndjson")[0]["content"] == "secret words"


def test_it_goes_to_s3_too(
    nostr_relays: Relays, s3: S3Server, s3_bucket: str, disk: Destination, tmp_path: Path
) -> None:
    ada = by("ada")
    nostr_relays[0].load([ada.signs(str(number), created_at=THEN + number) for number in range(30)])
    Destination.objects.filter(pk=disk.pk).update(is_default=False)
    s3_destination(s3, s3_bucket)
    relays_source(nostr_relays[0].url)
    done = made(ada.pubkey)
    key = ExportObject.objects.get(export=done).key
    s3.client().download_file(s3_bucket, key, str(tmp_path / "x.zip"))
    assert unpacked(done, tmp_path / "out", archive=tmp_path / "x.zip")["files"][0]["records"] == 30
    delete_export(export=done)
    assert "Contents" not in s3.client().list_objects_v2(Bucket=s3_bucket)


class TestNothingIsLeft:
    @pytest.fixture
    def ada(self, nostr_relays: Relays) -> Author:
        ada = by("ada")
        nostr_relays[0].load([ada.signs("x" * 2000, created_at=THEN + number) for number in range(200)])
        relays_source(nostr_relays[0].url)
        return ada

    def test_after_all_relays_were_down(self, disk: Destination) -> None:
        relays_source(f"ws://127.0.0.1:{free_port()}")
        ended = export(by("ada").pubkey)
        assert (ended.status, ended.error_code) == (Status.FAILED, "no_relay")
        assert_nothing_stored(disk)

    def test_by_one_attempt_of_two_when_the_relay_comes_back(self, settings: Any, disk: Destination) -> None:
        settings.BACKUPSITE_MAX_ATTEMPTS = 2
        relays_source(f"ws://127.0.0.1:{free_port()}")
        ended = export(by("ada").pubkey)
        assert ended.status == Status.SCHEDULED
        assert_nothing_stored(disk)

    def test_of_what_is_too_large(self, ada: Author, disk: Destination) -> None:
        ExportPolicy.objects.update_or_create(pk=1, defaults={"max_bytes": 100_000})
        ended = export(ada.pubkey)
        assert (ended.status, ended.error_code) == (Status.FAILED, "too_large")
        assert "100000" in ended.error_message
        assert_nothing_stored(disk)

    def test_when_the_destination_cannot_be_written(self, ada: Author, disk: Destination) -> None:
        folder = Path(disk.path)
        folder.chmod(0o500)
        try:
            Destination.objects.filter(pk=disk.pk).update(path="/proc/nowhere")
            ended = export(ada.pubkey)
        finally:
            folder.chmod(0o700)
        assert ended.status == Status.FAILED
        assert not list(folder.rglob("*.zip*"))

    def test_of_a_job_that_is_cancelled_while_a_relay_hangs(self, disk: Destination) -> None:
        ada = by("ada")
        asked: list[Export] = []

        def hang(relay: Any, socket: Any, message: list[Any]) -> bool:
            if asked:
                cancel_job(job=Export.objects.get(pk=asked[0].pk))
            return True

        with odd_relay(behave=hang) as relay:
            relays_source(relay.url, timeout_s=200)
            asked.append(ask(ada.pubkey))
            ended = finish(asked[0])
        assert ended.status == Status.CANCELLED
        assert_nothing_stored(disk)

    def test_of_an_attempt_whose_worker_was_killed(self, disk: Destination) -> None:
        """As SIGKILL leaves it: the rows, half an object, a lease that nobody renews."""
        relays_source(f"ws://127.0.0.1:{free_port()}")
        ada = by("ada")
        asked = ask(ada.pubkey)
        past = timezone.now() - timedelta(minutes=5)
        killed = {"status": Status.IN_PROGRESS, "attempt": 1, "started_at": past, "lease_expires_at": past}
        Export.objects.filter(pk=asked.pk).update(lease_token=uuid.uuid4(), **killed)
        asked.refresh_from_db()
        row = run._begin(asked, disk, past)
        for name in (row.key, f"{row.key}.partial"):
            file = Path(disk.path) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"half an export")
        assert sweep.end_lost() == 1
        remove_deleted()
        asked.refresh_from_db()
        assert (asked.status, asked.error_code) == (Status.FAILED, "worker_lost")
        assert_nothing_stored(disk)

    def test_after_its_time(self, ada: Author, disk: Destination) -> None:
        done = made(ada.pubkey)
        token = token_of(export=done)
        assert token and open_link(token=token).export == done
        Export.objects.filter(pk=done.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
        ExportLink.objects.filter(export=done).update(expires_at=timezone.now() - timedelta(seconds=1))
        with pytest.raises(BackupError) as caught:
            open_link(token=token)
        assert caught.value.code == "link_over"
        assert expire_exports() == 1
        remove_deleted()
        done.refresh_from_db()
        assert done.status == Status.EXPIRED
        assert_nothing_stored(disk)

    def test_when_its_user_deletes_it(self, ada: Author, disk: Destination) -> None:
        done = made(ada.pubkey)
        delete_export(export=done)
        assert not Export.objects.filter(pk=done.pk).exists()
        assert_nothing_stored(disk)

    def test_when_its_user_deletes_it_while_it_runs(self, disk: Destination) -> None:
        ada = by("ada")
        asked: list[Export] = []

        def hang(relay: Any, socket: Any, message: list[Any]) -> bool:
            if asked:
                delete_export(export=Export.objects.get(pk=asked[0].pk))
            return True

        with odd_relay(behave=hang) as relay:
            relays_source(relay.url, timeout_s=200)
            asked.append(ask(ada.pubkey))
            run_job(kind_name="export", job_id=asked[0].pk)
        remove_deleted()
        assert not Export.objects.filter(pubkey=ada.pubkey).exists()
        assert not Export.objects.filter(pk=asked[0].pk).exists()
        assert_nothing_stored(disk)


def test_two_exports_of_one_user_run_one_after_the_other(nostr_relays: Relays) -> None:
    ada = by("ada")
    nostr_relays[0].load([ada.signs("x", created_at=THEN)])
    relays_source(nostr_relays[0].url)
    first, second = ask(ada.pubkey), ask(ada.pubkey)
    run_job(kind_name="export", job_id=second.pk)
    second.refresh_from_db()
    assert second.status == Status.PENDING
    assert finish(first).status == Status.COMPLETED
    assert finish(second).status == Status.COMPLETED


def test_a_source_that_was_removed_meanwhile_fails_the_export(nostr_relays: Relays) -> None:
    source = relays_source(nostr_relays[0].url)
    asked = ask(by("ada").pubkey)
    source.delete()
    ended = finish(asked)
    assert (ended.status, ended.error_code) == (Status.FAILED, "no_sources")


def test_what_no_source_has_cannot_be_chosen(nostr_relays: Relays) -> None:
    relays_source(nostr_relays[0].url, kinds=["1"])
    with pytest.raises(Exception, match="no collection"):
        request_export(pubkey="a" * 64, type="selective", metadata={"select": ["2"]})


def assert_nothing_stored(disk: Destination) -> None:
    assert not [file for file in Path(disk.path).rglob("*") if file.is_file() and "export" in file.name]
    assert not ExportObject.objects.exists()
