"""Dumps of real buckets."""

import hashlib
import io
import json
import os
import secrets
import subprocess
import tarfile
import threading
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from databases.engines.base import DumpRequest, StoredPlace
from databases.engines.s3_bucket import ahead, listing, tarformat
from jobs.errors import BackupError
from tests.contracts.engines import RecordingGuard, dump_of
from tests.databases.engines.s3_bucket.helpers import engine_to, fill, index_of, opened
from tests.servers.s3 import S3Server

HOSTILE = [
    "a",
    "a!",
    "a/b",
    "a/b/c",
    "/etc/passwd",
    "../outside.txt",
    "x/../../outside.txt",
    "..",
    "./here",
    "x//y",
    "folder/",
    "line\nbreak",
    "tab\tand bell\x07",
    "back\\slash\\..\\x",
    "space and+plus%20percent&amp;",
    "ünï/日本語/🗄.txt",
    "e\u0301 and \u00e9",
    "n" * 300,
    "long/" + "x/" * 400 + "end" * 60,
    ".backupsite/manifest-000001.ndjson",
    ".backupsite",
    "~root/-rf *?[x]",
]


@pytest.fixture(scope="module")
def hostile(s3: S3Server) -> tuple[str, Mapping[str, bytes]]:
    bucket = s3.make_bucket()
    longest = "k" * 200 + "/" + "ü" * 100 + "/" + "z" * 250 + "/" + "y" * 250 + "/"
    longest += "w" * (1024 - len(longest.encode()))
    assert len(longest.encode()) == 1024
    objects = {key: f"{number}:{key}".encode() for number, key in enumerate([*HOSTILE, longest])}
    objects["empty"] = b""
    fill(s3, bucket, objects)
    return bucket, objects


def test_every_key_arrives_with_its_bytes(s3: S3Server, hostile: tuple[str, Mapping[str, bytes]]) -> None:
    bucket, objects = hostile
    dumped = dump_of(engine_to(s3, bucket))
    tar = opened(dumped)
    assert tar.contents == objects
    assert dumped.manifest["objects"] == dumped.manifest["file_count"] == tar.summary["objects"] == len(objects)
    assert dumped.manifest["bytes"] == sum(map(len, objects.values()))
    assert {line["key"]: line["sha256"] for line in tar.lines} == {
        key: hashlib.sha256(content).hexdigest() for key, content in objects.items()
    }
    assert tar.names[-2:] == [".backupsite/manifest-000001.ndjson", ".backupsite/summary.json"]


def test_stock_tar_writes_hostile_keys_inside_its_folder_only(
    s3: S3Server, hostile: tuple[str, Mapping[str, bytes]], tmp_path: Path
) -> None:
    bucket, objects = hostile
    dumped = dump_of(engine_to(s3, bucket))
    folder = tmp_path / "deep" / "deeper"
    folder.mkdir(parents=True)
    # The store rounds the time of an object up to the next second, which may not have come yet.
    tar = ["tar", "--warning=no-unknown-keyword", "--warning=no-timestamp", "-x"]
    done = subprocess.run(tar, cwd=folder, input=dumped.data, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    files = {path for path in tmp_path.rglob("*") if not path.is_dir()}
    assert all(path.is_file() and not path.is_symlink() and path.is_relative_to(folder) for path in files)
    for line in opened(dumped).lines:
        assert (folder / (line["member"] or line["key"])).read_bytes() == objects[line["key"]]
    assert (folder / "ünï/日本語/🗄.txt").exists()
    assert len(files) == len(objects) + 2


def test_metadata_and_times_are_kept(s3: S3Server, s3_bucket: str) -> None:
    with closing(s3.client()) as client:
        client.put_object(
            Bucket=s3_bucket,
            Key="page.html",
            Body=b"<p>",
            ContentType="text/html; charset=utf-8",
            ContentEncoding="identity",
            ContentDisposition='attachment; filename="p.html"',
            Metadata={"owner": "Ada", "empty-ish": "x=1;y"},
        )
        head = client.head_object(Bucket=s3_bucket, Key="page.html")
    tar = opened(dump_of(engine_to(s3, s3_bucket)))
    (line,) = tar.lines
    assert line["content_type"] == "text/html; charset=utf-8"
    assert line["metadata"]["user"] == {"owner": "Ada", "empty-ish": "x=1;y"}
    assert line["metadata"]["headers"]["content_disposition"] == 'attachment; filename="p.html"'
    assert line["etag"] == head["ETag"].strip('"') == hashlib.md5(b"<p>").hexdigest()
    assert datetime.fromisoformat(line["last_modified"]) == head["LastModified"]
    headers = tar.headers["page.html"]
    assert json.loads(headers[tarformat.META]) == line["metadata"]
    assert headers[tarformat.ETAG] == line["etag"]


def test_all_pages_of_a_listing_are_read_and_counted(
    s3: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 20)
    keys = [f"{folder}/{number:04} ü" for number in range(30) for folder in ("images", "logs")] + ["top"]
    fill(s3, s3_bucket, {key: key.encode() for key in keys})
    dumped = dump_of(engine_to(s3, s3_bucket))
    assert opened(dumped).contents == {key: key.encode() for key in keys}
    assert dumped.manifest["counts"] == {"objects": 61, "images/": 30, "logs/": 30}
    assert list(index_of(dumped)[1]) == sorted(keys)


@pytest.mark.slow
def test_200_megabytes_in_one_object_of_many_parts(s3: S3Server, s3_bucket: str, tmp_path: Path) -> None:
    block = os.urandom(1 << 20)
    with (tmp_path / "large").open("wb") as file:
        file.writelines([block] * 200)
    with closing(s3.client()) as client:
        client.upload_file(str(tmp_path / "large"), s3_bucket, "large")
    dumped = dump_of(engine_to(s3, s3_bucket), block=1 << 20)
    assert dumped.manifest["bytes"] == 200 << 20
    assert dumped.manifest["voided"] == 0
    with tarfile.open(fileobj=io.BytesIO(dumped.data)) as tar:
        content = tar.extractfile("large")
        assert content is not None
        assert all(content.read(1 << 20) == block for _ in range(200))


def test_large_objects_come_in_pieces_and_whole(s3: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "BUDGET", 9 << 20)
    objects = {name: os.urandom(size) for name, size in [("a", 8 << 20), ("b", (8 << 20) + 1), ("c", 21 << 20)]}
    fill(s3, s3_bucket, objects | {"d": b"last"})
    for parallel in (1, 5):
        tar = opened(dump_of(engine_to(s3, s3_bucket, parallel=parallel)))
        assert tar.contents == objects | {"d": b"last"}
        assert tar.summary["voided"] == 0


def test_an_empty_bucket_is_an_empty_tar(s3: S3Server, s3_bucket: str) -> None:
    dumped = dump_of(engine_to(s3, s3_bucket))
    assert opened(dumped).names == [".backupsite/manifest-000001.ndjson", ".backupsite/summary.json"]
    assert dumped.manifest["objects"] == 0
    assert index_of(dumped) == (0, {})


def test_prefix_globs_and_a_request_narrow_each_other(s3: S3Server, s3_bucket: str) -> None:
    keys = ["images/a.jpg", "images/a.tmp", "images/b/c.jpg", "images-old/a.jpg", "notes.txt"]
    fill(s3, s3_bucket, dict.fromkeys(keys, b"x"))
    engine = engine_to(s3, s3_bucket, prefix="images/", exclude=("**.tmp",))
    assert list(opened(dump_of(engine)).contents) == ["images/a.jpg", "images/b/c.jpg"]
    request = DumpRequest(guard=RecordingGuard(), type="selective", include=("**/b/**", "notes.txt"))
    dumped = dump_of(engine, request)
    assert list(opened(dumped).contents) == ["images/b/c.jpg"]
    assert dumped.index is None


def test_a_selection_that_matches_nothing_fails(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"a": b"x"})
    request = DumpRequest(guard=RecordingGuard(), type="selective", include=("b*",))
    with pytest.raises(BackupError) as raised:
        dump_of(engine_to(s3, s3_bucket), request)
    assert (raised.value.code, raised.value.permanent) == ("nothing_matches", True)


@pytest.mark.parametrize("prefix", ["backups/", ""])
def test_the_sites_own_artefacts_are_left_out(s3: S3Server, s3_bucket: str, prefix: str) -> None:
    artefact = f"{prefix}shop/2026/11/shop_2026-11-21_02-00-00_bkp_0a1b2c3d4e5f-1.tar.zst"
    stored = {artefact: b"tar", f"{artefact}.manifest.json": b"{}", f"{artefact}.index.zst": b"index"}
    fill(s3, s3_bucket, {"images/a.jpg": b"jpg", **stored})
    guard = RecordingGuard()
    place = StoredPlace(s3.endpoint_url + "/", s3_bucket, prefix)
    dumped = dump_of(engine_to(s3, s3_bucket), DumpRequest(guard=guard, leave_out=(place,)))
    assert list(opened(dumped).contents) == ["images/a.jpg"]
    assert list(dumped.manifest["left_out"].values()) == [3]
    assert any("left out" in line for line in guard.lines)


def test_the_estimate_is_exact_for_a_bucket_of_one_page(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"a": b"x" * 5000, "b": b"y" * 700})
    with engine_to(s3, s3_bucket).dump(DumpRequest(guard=RecordingGuard())) as dump:
        assert dump.bytes_total_estimate == 5700


def test_leaving_early_leaves_no_thread_and_no_connection(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {f"{number:03}": os.urandom(20_000) for number in range(60)})
    threads = set(threading.enumerate())
    guard = RecordingGuard()
    with engine_to(s3, s3_bucket).dump(DumpRequest(guard=guard)) as dump:
        dump.readinto(bytearray(1024))
    assert set(threading.enumerate()) <= threads
    assert guard.callbacks == []


def test_no_secret_is_in_logs_errors_or_the_archive(s3: S3Server, s3_bucket: str) -> None:
    canary = "canary-5f1e" + secrets.token_hex(4)
    engine = engine_to(s3, s3_bucket, secret_key=canary)
    report = engine.check()
    assert (report.ok, report.code) == (False, "auth")
    with pytest.raises(BackupError) as raised:
        dump_of(engine)
    assert (raised.value.code, raised.value.permanent) == ("auth", True)
    assert canary not in f"{report} {raised.value!r} {raised.value} {raised.value.__cause__} {engine}"
    fill(s3, s3_bucket, {"a": b"x"})
    guard = RecordingGuard()
    dumped = dump_of(engine_to(s3, s3_bucket), DumpRequest(guard=guard))
    assert s3.secret_key not in f"{dumped.data!r} {dumped.manifest} {dumped.facts} {guard.lines}"


def test_a_check_says_what_is_wrong(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"a": b"x"})
    engine = engine_to(s3, s3_bucket)
    assert engine.check().ok
    assert engine.check().warnings == ()
    assert engine_to(s3, s3_bucket, prefix="b").check().warnings
    missing = engine_to(s3, "nobody-has-this-bucket").check()
    assert (missing.ok, missing.code) == (False, "not_found")
    assert missing.hint
    away = engine_to(s3, s3_bucket, endpoint_url="http://127.0.0.1:1").check()
    assert (away.ok, away.code) == (False, "unreachable")
    encrypted = engine_to(s3, s3_bucket, endpoint_url=s3.endpoint_url.replace("http:", "https:")).check()
    assert (encrypted.ok, encrypted.code) == (False, "tls")


def test_the_inventory_counts_folders(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"images/a": b"1234", "images/b/c": b"56", "logs/x": b"789", "top": b"0"})
    inventory = engine_to(s3, s3_bucket, exclude=("logs/",)).inventory()
    assert [(item.name, item.rows, item.size) for item in inventory.items] == [
        ("images/", 2, 6),
        ("(without a folder)", 1, 1),
    ]
    assert inventory.size == 7


def test_the_in_flight_check_finds_every_cut(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"a": os.urandom(3000), "b": b""})
    engine = engine_to(s3, s3_bucket)
    dumped = dump_of(engine)
    assert dumped.facts["objects"] == 2
    damaged = bytearray(dumped.data)
    damaged[0] ^= 1
    cuts = [dumped.data[:length] for length in range(0, len(dumped.data), 511)]
    for data in [*cuts, dumped.data + b"\0", bytes(damaged)]:
        structure = engine.structure()
        with pytest.raises(BackupError) as raised:
            structure.feed(memoryview(data))
            structure.finish()
        assert raised.value.code == "structure"


def test_python_reads_the_times_as_well(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"a": b"x"})
    dumped = dump_of(engine_to(s3, s3_bucket))
    (line,) = opened(dumped).lines
    modified = datetime.fromisoformat(line["last_modified"])
    assert abs((datetime.now(UTC) - modified).total_seconds()) < 600
    info = tarfile.TarInfo.frombuf(dumped.data[1024:1536], "utf-8", "strict")
    assert info.mtime == int(modified.timestamp())
