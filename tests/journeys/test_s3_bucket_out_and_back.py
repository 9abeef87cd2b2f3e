"""A bucket goes out and comes back equal, and its artefact opens with stock tools alone."""

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from backups.destinations import open_storage
from backups.models import Backup
from backups.pipeline.keys import generate_identity
from backups.storage.base import ObjectStorage
from jobs.models import Status
from tests.databases.engines.s3_bucket.buckets import clear, content_of, fill, keys_of
from tests.journeys.test_postgres_out_and_back import fetch
from tests.room import back_up, local_destination, register_bucket, restore_into, s3_destination, verify
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db(transaction=True)

BYTES = random.Random(7).randbytes(3 << 20)
OBJECTS: dict[str, bytes] = {f"images/{n}.jpg": BYTES[n : n + 20_000] for n in range(8)}
OBJECTS |= {"notes/ünï.txt": b"notes", "../../up": b"up", "/abs": b"abs", "folder/": b"", "large": BYTES}

# As docs/restoring-without-backupsite.md has it: keys that lead out of the folder were never written below it.
FORGET_DELETED = r"""
cat .backupsite/manifest-*.ndjson |
jq -j 'select(.deleted) | .key | select(test("(^|/)[.]{1,2}(/|$)|^/|//|/$") | not) + "\u0000"' |
xargs -0 -r rm -f --
"""


@pytest.fixture(autouse=True)
def newest_clients() -> None:
    """No PostgreSQL is needed here."""


@pytest.fixture
def images(s3: S3Server, s3_bucket: str) -> str:
    fill(s3, s3_bucket, OBJECTS)
    return s3_bucket


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Server, images: str, db: None) -> ObjectStorage:
    """A disk, or a prefix of the very bucket that is backed up."""
    if request.param == "local":
        return open_storage(local_destination(tmp_path / "disk"))
    return open_storage(s3_destination(s3, images, prefix="backups/here"))


def completed(backup: Backup) -> Backup:
    assert (backup.status, backup.error_message) == (Status.COMPLETED, "")
    return backup


def test_a_chain_comes_back_encrypted_and_from_any_point(
    s3: S3Server, images: str, storage: ObjectStorage, tmp_path: Path
) -> None:
    identity, recipient = generate_identity()
    source = register_bucket(s3, images, compression="zstd", encryption="age", encryption_recipients=[recipient])
    full = completed(back_up(source))
    states = [own_content(s3, images)]
    changes: list[Callable[[], None]] = [
        lambda: fill(s3, images, {"images/1.jpg": b"changed", "new": b"new"}),
        lambda: clear(s3, images, ["images/2.jpg", "new"]),
        lambda: fill(s3, images, {"images/2.jpg": b"back", "last": b"last"}),
    ]
    chain = [full]
    for change in changes:
        change()
        chain.append(completed(back_up(source, type="incremental")))
        states.append(own_content(s3, images))
    assert [backup.parent_id for backup in chain] == [None, *(backup.pk for backup in chain[:-1])]
    assert max(backup.size or 0 for backup in chain[1:]) < (full.size or 0) / 10

    for backup, state in ((chain[-1], states[-1]), (chain[1], states[1])):
        target = s3.make_bucket()
        restore = restore_into(register_bucket(s3, target), backup, identity=identity)
        assert (restore.status, restore.error_message) == (Status.COMPLETED, "")
        assert content_of(s3, target) == state
        assert restore.report["counts"]["objects"] == len(state)
    assert verify(chain[-1], identity=identity).status == Status.COMPLETED


def own_content(server: S3Server, bucket: str) -> dict[str, object]:
    """Without what the site itself stores in it."""
    found = content_of(server, bucket)
    return {key: value for key, value in found.items() if not key.startswith("backups/here/")}


def test_backups_stored_in_the_bucket_do_not_grow_it(s3: S3Server, images: str) -> None:
    s3_destination(s3, images, prefix="backups/here")
    source = register_bucket(s3, images, compression="none")
    backups = [completed(back_up(source)) for _ in range(3)]
    assert len(keys_of(s3, images, "backups/here/")) >= 6
    assert [backup.manifest["engine"]["objects"] for backup in backups] == [len(OBJECTS)] * 3
    sizes = [backup.size or 0 for backup in backups]
    assert max(sizes) - min(sizes) < 4096

    spoiled = {"images/0.jpg": b"spoiled", "extra": b"x"}
    fill(s3, images, spoiled)
    stored = keys_of(s3, images, "backups/here/")
    restore = restore_into(source, backups[0], drop_existing=True, delete_extra=True)
    assert (restore.status, restore.error_message) == (Status.COMPLETED, "")
    assert set(own_content(s3, images)) == set(OBJECTS)
    assert keys_of(s3, images, "backups/here/") == stored, "the backups in the bucket are not extra"


def test_a_selective_backup_and_a_chosen_restore(s3: S3Server, images: str, tmp_path: Path) -> None:
    local_destination(tmp_path / "disk")
    source = register_bucket(s3, images)
    chosen = completed(back_up(source, type="selective", include=["images/", "notes/"], exclude=["**3.jpg"]))
    target = s3.make_bucket()
    below = register_bucket(s3, target, name="copy", options={"prefix": "copy/"})
    assert restore_into(below, chosen, include=["images/*.jpg"]).status == Status.COMPLETED
    assert keys_of(s3, target) == [f"copy/images/{n}.jpg" for n in range(8) if n != 3]
    refused = restore_into(below, chosen)
    assert (refused.status, refused.error_code) == (Status.FAILED, "target_not_empty")


def test_stock_tools_alone_open_it(s3: S3Server, images: str, tmp_path: Path) -> None:
    storage = open_storage(local_destination(tmp_path / "disk"))
    identity, recipient = generate_identity()
    key = tmp_path / "key.txt"
    key.write_text(identity + "\n")
    source = register_bucket(s3, images, compression="zstd", encryption="age", encryption_recipients=[recipient])
    full = fetch(storage, completed(back_up(source)), tmp_path)
    clear(s3, images, ["images/0.jpg", "folder/", "../../up"])
    fill(s3, images, {"images/1.jpg": b"changed"})
    changed = fetch(storage, completed(back_up(source, type="incremental")), tmp_path)

    folder = tmp_path / "a" / "b" / "restored"
    folder.mkdir(parents=True)
    outside = tmp_path / "a" / "up"
    outside.write_text("ours")
    for file in (full, changed):
        run("rm -f .backupsite/manifest-*", folder)
        # The store rounds the time of an object up to the next second, which may not have come yet.
        quiet = "--warning=no-unknown-keyword --warning=no-timestamp"
        run(f"age -d -i {key} {file} | zstd -dc | tar -x {quiet} -C {folder}")
        run(FORGET_DELETED, folder)
        if file == full:
            # The escaped names and the keys they stand for, while the first manifest is there.
            told = run("jq -r 'select(.member) | [.member, .key] | @tsv' .backupsite/manifest-000001.ndjson", folder)
    assert outside.read_text() == "ours", "nothing outside its folder was written or removed"
    plain = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    names = {key: name for name, key in (line.split("\t") for line in told.splitlines())}
    assert set(names) == {"../../up", "/abs", "folder/"}
    assert plain[names["../../up"]].read_bytes() == b"up"
    ours = {name for name in plain if not name.startswith(".backupsite/")}
    assert ours == set(OBJECTS) - set(names) - {"images/0.jpg"}
    assert plain["images/1.jpg"].read_bytes() == b"changed"
    assert plain["large"].read_bytes() == BYTES


def run(command: str, folder: Path | None = None) -> str:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stderr == "", "stock tools have nothing to warn of"
    return done.stdout


def test_the_sidecar_says_what_the_artefact_is(s3: S3Server, images: str, tmp_path: Path) -> None:
    storage = open_storage(local_destination(tmp_path / "disk"))
    backup = completed(back_up(register_bucket(s3, images)))
    engine = json.loads(storage.read_text(backup.copies.get().key + ".manifest.json"))["engine"]
    assert (engine["bucket"], engine["format"], engine["objects"]) == (images, "tar", len(OBJECTS))
    assert engine["counts"]["images/"] == 8
