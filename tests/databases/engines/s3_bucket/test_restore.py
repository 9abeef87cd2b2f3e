"""What a restore of a bucket writes, leaves and deletes."""

import random
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from databases.engines.base import DumpRequest, Engine, RestoreReport, RestoreRequest, StoredPlace
from jobs.errors import BackupError
from tests.contracts.engines import Dumped, RecordingGuard, dump_of
from tests.databases.engines.s3_bucket.buckets import clear, content_of, fill, keys_of, uploads_of
from tests.databases.engines.s3_bucket.helpers import engine_to
from tests.live import busy
from tests.servers.s3 import S3Server

HOSTILE = (
    "../up",
    "a/../../b",
    "/etc/passwd",
    "//",
    "a//b",
    ".",
    "..",
    "./x",
    "folder/",
    "a",
    "a/b",
    "a/b/c",
    "k" * 1024,
    "deep/" * 204 + "kkkk",
    "ünï/çødé 😀",
    "new\nline",
    "tab\t\x01\x1f\x7f",
    "back\\slash",
    "a+b&c=d?e#f%20%2e%2e",
    " blanks ",
    ".backupsite/manifest-000001.ndjson",
    ".backupsite/summary.json",
    ".backupsite",
    "-rf",
    "quote'\"<>",
)
META = {
    "Body": b"<p>",
    "ContentType": "text/html; charset=utf-8",
    "Metadata": {"owner": "a b", "x-y": "1"},
    "CacheControl": "max-age=60",
    "ContentDisposition": 'attachment; filename="ä.html"'.replace("ä", "a"),
    "ContentEncoding": "identity",
    "ContentLanguage": "de",
    "Expires": "Wed, 21 Oct 2026 07:28:00 GMT",
}


def restore(target: Engine, chain: Sequence[Dumped], **values: Any) -> RestoreReport:
    request = RestoreRequest(**{"guard": RecordingGuard(), **values})
    return target.restore([dumped.source() for dumped in chain], request)


def incremental(engine: Engine, parent: Dumped) -> Dumped:
    return dump_of(engine, DumpRequest(guard=RecordingGuard(), type="incremental", parent=parent.parent()))


def code_of(target: Engine, chain: Sequence[Dumped], **values: Any) -> str:
    with pytest.raises(BackupError) as raised:
        restore(target, chain, **values)
    assert raised.value.hint
    return raised.value.code


@pytest.fixture(scope="module")
def source(s3: S3Server) -> str:
    """The bucket that `chain` is of; tests read it only."""
    return s3.make_bucket()


@pytest.fixture(scope="module")
def chain(s3: S3Server, source: str) -> list[Dumped]:
    engine = engine_to(s3, source)
    fill(s3, source, {f"k/{n}": bytes([n]) * 100 for n in range(9)})
    chain = [dump_of(engine)]
    changes: list[tuple[dict[str, bytes], tuple[str, ...]]] = [
        ({"k/1": b"second", "k/9": b"new"}, ("k/2", "k/3")),
        ({"k/2": b"back again", "k/1": b"third"}, ("k/4", "k/9")),
        ({"other/x": b"fourth"}, ("k/1", "k/5")),
    ]
    for written, deleted in changes:
        fill(s3, source, written)
        clear(s3, source, deleted)
        chain.append(incremental(engine, chain[-1]))
    return chain


class TestAChain:
    def test_restores_the_buckets_final_state(self, s3: S3Server, source: str, chain: list[Dumped]) -> None:
        target = s3.make_bucket()
        report = restore(engine_to(s3, target), chain)
        assert content_of(s3, target) == content_of(s3, source)
        assert report.counts == {"objects": len(keys_of(s3, source))}

    def test_restores_an_earlier_state_too(self, s3: S3Server, chain: list[Dumped]) -> None:
        target = s3.make_bucket()
        restore(engine_to(s3, target), chain[:2])
        assert keys_of(s3, target) == [f"k/{n}" for n in (0, 1, 4, 5, 6, 7, 8, 9)]

    def test_needs_its_full_backup_first(self, s3: S3Server, chain: list[Dumped]) -> None:
        target = engine_to(s3, s3.make_bucket())
        for broken in (chain[1:], chain[::-1], [chain[0], chain[0]]):
            with pytest.raises(BackupError) as raised:
                restore(target, broken)
            assert raised.value.code == "broken_chain"

    def test_deletes_nothing_of_the_target_that_it_did_not_write(self, s3: S3Server, chain: list[Dumped]) -> None:
        """k/4 was deleted in the source; the target's own k/4 is none of the backup's business."""
        target = s3.make_bucket()
        fill(s3, target, {"k/4": b"the target's own", "k/0": b"overwritten"})
        restore(engine_to(s3, target), chain, drop_existing=True)
        found = content_of(s3, target)
        assert {"k/4", "k/0", "k/2", "other/x"} <= set(found)
        assert not {"k/1", "k/3", "k/5", "k/9"} & set(found)
        restore(engine_to(s3, target), chain, drop_existing=True, delete_extra=True)
        assert "k/4" not in keys_of(s3, target)


class TestDeleteExtra:
    @pytest.fixture
    def dumped(self, s3: S3Server, s3_bucket: str) -> Dumped:
        fill(s3, s3_bucket, {"images/1": b"1", "images/2": b"2", "notes/1": b"3"})
        return dump_of(engine_to(s3, s3_bucket))

    @pytest.fixture
    def target(self, s3: S3Server) -> str:
        bucket = s3.make_bucket()
        fill(s3, bucket, {"images/1": b"old", "images/extra": b"x", "notes/extra": b"x", "t\x01\n": b"x"})
        return bucket

    def test_only_when_asked(self, s3: S3Server, dumped: Dumped, target: str) -> None:
        restore(engine_to(s3, target), [dumped], drop_existing=True)
        assert {"images/extra", "notes/extra", "t\x01\n"} < set(keys_of(s3, target))
        report = restore(engine_to(s3, target), [dumped], drop_existing=True, delete_extra=True)
        assert keys_of(s3, target) == ["images/1", "images/2", "notes/1"]
        assert report.counts == {"objects": 3, "deleted": 3}

    def test_within_what_was_chosen(self, s3: S3Server, dumped: Dumped, target: str) -> None:
        restore(engine_to(s3, target), [dumped], drop_existing=True, delete_extra=True, include=("images/",))
        assert keys_of(s3, target) == ["images/1", "images/2", "notes/extra", "t\x01\n"]

    def test_within_what_a_selective_backup_looked_at(self, s3: S3Server, s3_bucket: str, target: str) -> None:
        request = DumpRequest(guard=RecordingGuard(), type="selective", include=("images/",))
        fill(s3, s3_bucket, {"images/1": b"1", "notes/1": b"3"})
        dumped = dump_of(engine_to(s3, s3_bucket), request)
        restore(engine_to(s3, target), [dumped], drop_existing=True, delete_extra=True)
        assert keys_of(s3, target) == ["images/1", "notes/extra", "t\x01\n"]

    def test_never_where_a_destination_keeps_its_backups(self, s3: S3Server, dumped: Dumped, target: str) -> None:
        fill(s3, target, {"backups/shop/artefact": b"precious"})
        places = (StoredPlace(s3.endpoint_url, target, "backups/"),)
        restore(engine_to(s3, target), [dumped], drop_existing=True, delete_extra=True, leave_out=places)
        assert keys_of(s3, target) == ["backups/shop/artefact", "images/1", "images/2", "notes/1"]

    def test_nothing_when_the_source_fails_at_its_end(self, s3: S3Server, dumped: Dumped, target: str) -> None:
        source = dumped.source(fault=BackupError("digests differ", code="artefact_corrupt"))
        with pytest.raises(BackupError):
            engine_to(s3, target).restore(
                [source], RestoreRequest(guard=RecordingGuard(), drop_existing=True, delete_extra=True)
            )
        assert {"images/extra", "notes/extra", "t\x01\n"} <= set(keys_of(s3, target))


def test_a_destination_in_the_bucket_does_not_make_it_a_full_target(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"a": b"1"})
    dumped = dump_of(engine_to(s3, s3_bucket))
    target = s3.make_bucket()
    fill(s3, target, {"backups/shop/artefact": b"precious"})
    places = (StoredPlace(s3.endpoint_url, target, "backups"),)
    assert code_of(engine_to(s3, target), [dumped]) == "target_not_empty"
    restore(engine_to(s3, target), [dumped], leave_out=places)
    assert keys_of(s3, target) == ["a", "backups/shop/artefact"]


def test_a_destination_under_another_name_of_the_store_loses_no_backup(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"a": b"1"})
    dumped = dump_of(engine_to(s3, s3_bucket))
    fill(s3, s3_bucket, {"backups/shop/artefact": b"precious", "extra": b"x"})
    places = (StoredPlace(s3.endpoint_url.replace("127.0.0.1", "localhost"), s3_bucket, "backups/"),)
    restore(engine_to(s3, s3_bucket), [dumped], drop_existing=True, delete_extra=True, leave_out=places)
    assert keys_of(s3, s3_bucket) == ["a", "backups/shop/artefact"]


def test_what_a_backup_left_out_is_no_extra(s3: S3Server, s3_bucket: str) -> None:
    """The Destination may be none of the site's any more when the backup comes back."""
    named = "shop/2026/11/shop_2026-11-21_02-00-00_bkp_0a1b2c3d4e5f-1.dump.zst"
    fill(s3, s3_bucket, {"a": b"1", "backups/shop/artefact": b"precious", named: b"precious"})
    places = (StoredPlace(s3.endpoint_url, s3_bucket, "backups/"), StoredPlace(s3.endpoint_url, s3_bucket, ""))
    dumped = dump_of(engine_to(s3, s3_bucket), DumpRequest(guard=RecordingGuard(), leave_out=places))
    fill(s3, s3_bucket, {"extra": b"x"})
    restore(engine_to(s3, s3_bucket), [dumped], drop_existing=True, delete_extra=True)
    assert keys_of(s3, s3_bucket) == ["a", "backups/shop/artefact", named]


def test_nothing_is_written_where_a_destination_keeps_its_backups(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"shop/artefact": b"forged"})
    dumped = dump_of(engine_to(s3, s3_bucket))
    target = s3.make_bucket()
    fill(s3, target, {"backups/shop/artefact": b"precious"})
    places = (StoredPlace(s3.endpoint_url, target, "backups/"),)
    assert code_of(engine_to(s3, target, prefix="backups/"), [dumped], leave_out=places) == "own_place"
    assert content_of(s3, target).keys() == {"backups/shop/artefact"}


def test_a_chain_that_misses_a_link_is_never_whole(s3: S3Server, s3_bucket: str) -> None:
    engine = engine_to(s3, s3_bucket)
    chain: list[Dumped] = []
    for key in "abc":
        fill(s3, s3_bucket, {key: b"1"})
        request = DumpRequest(guard=RecordingGuard(), type="incremental", parent=chain[-1].parent()) if chain else None
        chain.append(dump_of(engine, request))
    target = s3.make_bucket()
    fill(s3, target, {"extra": b"x"})
    for part in ([chain[0], chain[2]], [chain[2]]):
        values = {"drop_existing": True, "delete_extra": True}
        assert code_of(engine_to(s3, target), part, **values) == "broken_chain"
        assert "extra" in keys_of(s3, target)


def test_chosen_keys_only(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"images/a.jpg": b"1", "images/b.png": b"2", "c.jpg": b"3"})
    dumped = dump_of(engine_to(s3, s3_bucket))
    target = s3.make_bucket()
    fill(s3, target, {"notes/here": b"x", "images/z.gif": b"x"})
    restore(engine_to(s3, target), [dumped], include=("**.jpg",))
    assert keys_of(s3, target) == ["c.jpg", "images/a.jpg", "images/z.gif", "notes/here"]
    assert code_of(engine_to(s3, target), [dumped], include=("images/*.jpg",)) == "target_not_empty"
    assert code_of(engine_to(s3, target), [dumped], include=("nothing/",)) == "nothing_matches"
    with pytest.raises(BackupError) as raised:
        engine_to(s3, target).require_restorable(dumped.manifest, include=("",), delete_extra=True)
    assert raised.value.code == "invalid_selection"


def test_another_bucket_and_prefix(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"shop/a/1": b"1", "shop/b": b"2", "elsewhere": b"3"})
    dumped = dump_of(engine_to(s3, s3_bucket, prefix="shop/"))
    target = s3.make_bucket()
    fill(s3, target, {"outside": b"x"})
    restore(engine_to(s3, target, prefix="copy/of/"), [dumped])
    assert keys_of(s3, target) == ["copy/of/a/1", "copy/of/b", "outside"]
    restore(engine_to(s3, target, prefix="chosen/"), [dumped], include=("shop/a/",))
    assert keys_of(s3, target, "chosen/") == ["chosen/a/1"]
    too_long = engine_to(s3, target, prefix="p" * 1023)
    assert code_of(too_long, [dumped]) == "key_too_long"


def test_into_the_bucket_it_came_from(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"a": b"1", "b": b"2"})
    engine = engine_to(s3, s3_bucket)
    dumped, before = dump_of(engine), content_of(s3, s3_bucket)
    fill(s3, s3_bucket, {"a": b"spoiled"})
    clear(s3, s3_bucket, ["b"])
    restore(engine, [dumped], drop_existing=True)
    assert content_of(s3, s3_bucket) == before


def test_hostile_keys_come_back_exactly(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {key: key.encode() for key in HOSTILE})
    target = s3.make_bucket()
    restore(engine_to(s3, target), [dump_of(engine_to(s3, s3_bucket))])
    assert sorted(keys_of(s3, target)) == sorted(HOSTILE)
    assert content_of(s3, target) == content_of(s3, s3_bucket)


def test_metadata_and_headers_come_back(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"page": META, "large": {**META, "Body": bytes(9 << 20)}, "plain": b""})
    target = s3.make_bucket()
    report = restore(engine_to(s3, target), [dump_of(engine_to(s3, s3_bucket))])
    assert content_of(s3, target) == content_of(s3, s3_bucket)
    assert report.notes == ()
    with closing(s3.client()) as client:
        page = client.head_object(Bucket=target, Key="page")
    assert page["Metadata"] == META["Metadata"]
    assert page["CacheControl"] == "max-age=60"


def test_a_flipped_byte_in_a_member_is_caught(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"a": b"needle" * 100, "b": b"other"})
    engine = engine_to(s3, s3_bucket)
    dumped = dump_of(engine)
    at = dumped.data.index(b"needleneedle") + 3
    flipped = replace(dumped, data=dumped.data[:at] + b"X" + dumped.data[at + 1 :])
    with pytest.raises(BackupError) as raised:
        engine.verify_structure(flipped.source(), RecordingGuard())
    assert raised.value.code == "structure"
    assert "sha256" in raised.value.message
    assert code_of(engine_to(s3, s3.make_bucket()), [flipped]) == "structure"


def test_a_cut_artefact_fails_and_leaves_no_upload(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"a": b"1", "large": random.Random(2).randbytes(20 << 20)})
    dumped = dump_of(engine_to(s3, s3_bucket))
    for length in (len(dumped.data) - 1, 18 << 20):
        target = s3.make_bucket()
        assert code_of(engine_to(s3, target), [replace(dumped, data=dumped.data[:length])]) == "structure"
        assert keys_of(s3, target) == ["a"]
        assert uploads_of(s3, target) == []


class TestWhatTheStoreRefuses:
    @pytest.fixture
    def dumped(self, s3: S3Server, s3_bucket: str) -> Dumped:
        fill(s3, s3_bucket, {"a": b"1", "b": b"2"})
        return dump_of(engine_to(s3, s3_bucket))

    def test_wrong_keys(self, s3: S3Server, dumped: Dumped) -> None:
        assert code_of(engine_to(s3, s3.make_bucket(), secret_key="wrong"), [dumped]) == "auth"

    def test_no_such_bucket(self, s3: S3Server, dumped: Dumped) -> None:
        assert code_of(engine_to(s3, "no-such-bucket-here"), [dumped]) == "not_found"
        assert code_of(engine_to(s3, "no-such-bucket-here"), [dumped], drop_existing=True) == "not_found"

    def test_a_store_that_is_away(self, s3: S3Server, dumped: Dumped) -> None:
        assert code_of(engine_to(s3, "away", endpoint_url="http://127.0.0.1:1"), [dumped]) == "unreachable"

    def test_credentials_that_only_read(self, s3: S3Server, dumped: Dumped) -> None:
        target = s3.make_bucket()
        with closing(s3.client()) as client:
            client.put_bucket_acl(Bucket=target, ACL="public-read")
        with pytest.raises(BackupError) as raised:
            restore(engine_to(s3, target, access_key=s3.reader_key), [dumped])
        assert (raised.value.code, raised.value.permanent) == ("permission", True)
        assert "write objects" in raised.value.hint
        assert keys_of(s3, target) == []


@pytest.mark.slow
def test_an_object_of_200_mb(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"large": random.Random(3).randbytes(200 << 20), "after": b"x"})
    target = s3.make_bucket()
    began = time.monotonic()
    restore(engine_to(s3, target), [dump_of(engine_to(s3, s3_bucket), block=1 << 20)])
    assert content_of(s3, target) == content_of(s3, s3_bucket)
    assert time.monotonic() - began < 120 * busy()
