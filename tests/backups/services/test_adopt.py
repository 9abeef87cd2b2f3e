"""A manager without rows adopts what a store holds, and takes nothing that is not what it says."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from backups.artefact import key_of, parts_of, sidecar_key
from backups.destinations import open_storage
from backups.models import Backup, Copy, Destination
from backups.services import adopt as service
from backups.services import list_sidecars
from backups.services.adopt import Adoption, adopt
from backups.storage.readers import BytesReader
from databases.models import Database
from jobs.models import LogLine, Status
from notifications.models import Event
from tests.room import local_destination

pytestmark = pytest.mark.django_db
KEY = "shop/2026/03/shop_2026-03-{day:02}_03-00-00_bkp_{id}-1.dump.zst"
FULL = KEY.format(day=1, id="aaaaaaaaaaaa")
SECOND = KEY.format(day=2, id="bbbbbbbbbbbb")
THIRD = KEY.format(day=3, id="cccccccccccc")


@pytest.fixture
def disk(tmp_path: Path) -> Destination:
    return local_destination(tmp_path / "disk")


def body(key: str, *parents: str, sha256: str = "ab" * 32) -> dict[str, Any]:
    parts = parts_of(key)
    assert parts is not None
    return {
        "schema_version": 1,
        "backup": {
            "id": parts.run,
            "type": "incremental" if parents else "full",
            "label": "before the move",
            "created_at": "2026-03-01T02:59:59+00:00",
            "include": [],
            "exclude": [],
        },
        "database": {"id": parts.folder, "name": "Der Shop", "engine": "postgres"},
        "artefact": {
            "key": key,
            "size": 8,
            "original_size": 80,
            "md5": "cd" * 16,
            "sha256": sha256,
            "original_blake3": "ef" * 32,
            "compression": "zstd",
            "encryption": "age",
            "recipients": ["age1x"],
            "parents": list(parents),
            "index": {},
        },
        "engine": {"server_version": "16.1", "tool_version": "pg_dump 16.1", "counts": {"public.orders": 3}},
    }


def put(destination: Destination, key: str, sidecar: str | dict[str, Any] | None, data: bytes = b"artefact") -> None:
    storage = open_storage(destination)
    storage.write(key, BytesReader(data))
    if sidecar is not None:
        storage.write_text(sidecar_key(key), sidecar if isinstance(sidecar, str) else json.dumps(sidecar))


def adopted(*destinations: Destination, dry_run: bool = False) -> Adoption:
    (found, *_) = adopt(destinations=destinations, dry_run=dry_run)
    return found


def rows() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Backup, Copy)]


def test_every_fact_of_the_sidecar_becomes_the_rows(disk: Destination) -> None:
    put(disk, FULL, body(FULL))
    put(disk, SECOND, body(SECOND, FULL))
    found = adopted(disk)
    assert (found.backups, found.copies, found.refusals, found.databases) == (2, 0, 0, {"shop": 2})
    backup = Backup.objects.get(pk="bkp_bbbbbbbbbbbb")
    facts = (backup.status, backup.database_id, backup.database_name, backup.engine, backup.type, backup.label)
    assert facts == (Status.COMPLETED, "shop", "Der Shop", "postgres", "incremental", "before the move")
    assert (backup.size, backup.original_size, backup.md5[:2], backup.encryption) == (8, 80, "cd", "age")
    assert backup.manifest == body(SECOND, FULL)
    assert backup.parent_id == "bkp_aaaaaaaaaaaa"
    assert f"{backup.started_at:%Y-%m-%d %H:%M}" == "2026-03-02 03:00"
    copy = backup.copies.get()
    assert (copy.key, copy.destination_id, copy.state, copy.verified_at) == (SECOND, disk.pk, "stored", None)
    assert not Database.objects.exists(), "their Database is registered by who knows its connection"
    assert "adopted from disk" in LogLine.objects.filter(job_id=backup.pk).get().message
    assert Event.objects.get(kind="backups.adopted").subject_id == disk.pk


def test_twice_is_a_no_op_and_a_dry_run_writes_nothing(disk: Destination) -> None:
    put(disk, SECOND, body(SECOND, FULL))
    put(disk, FULL, body(FULL))
    dry = adopted(disk, dry_run=True)
    assert (dry.backups, dry.refusals) == (2, 0)
    assert rows() == [[], []]
    adopted(disk)
    before = rows()
    again = adopted(disk)
    assert (again.backups, again.copies, again.known, again.refusals) == (0, 0, 2, 0)
    assert rows() == before
    assert Event.objects.filter(kind="backups.adopted").count() == 1


def test_a_second_destination_adds_copies_and_refuses_another_artefact_of_the_same_id(
    disk: Destination, tmp_path: Path
) -> None:
    other = local_destination(tmp_path / "other", id="other", is_default=False)
    for place in (disk, other):
        put(place, FULL, body(FULL))
    put(disk, SECOND, body(SECOND))
    put(other, SECOND, body(SECOND, sha256="00" * 32))
    first, second = adopt(destinations=[disk, other])
    assert (first.backups, second.backups, second.copies) == (2, 0, 1)
    assert [one.key for one in second.refused] == [SECOND]
    assert "SHA-256 differs" in second.refused[0].reason
    assert sorted(Copy.objects.values_list("backup", "destination")) == [
        ("bkp_aaaaaaaaaaaa", "disk"),
        ("bkp_aaaaaaaaaaaa", "other"),
        ("bkp_bbbbbbbbbbbb", "disk"),
    ]


def test_a_chain_is_linked_wherever_its_parts_lie_and_refused_without_its_beginning(
    disk: Destination, tmp_path: Path
) -> None:
    """The first destination holds what builds on what the second one holds."""
    other = local_destination(tmp_path / "other", id="other", is_default=False)
    put(disk, THIRD, body(THIRD, FULL, SECOND))
    put(disk, SECOND, body(SECOND, FULL))
    alone = adopted(disk)
    assert (alone.backups, alone.refusals) == (0, 2)
    assert {"builds on" in one.reason for one in alone.refused} == {True}
    put(other, FULL, body(FULL))
    first, second = adopt(destinations=[disk, other])
    assert (first.backups, second.backups, first.refusals) == (2, 1, 0)
    parents = dict(Backup.objects.values_list("pk", "parent"))
    assert parents == {
        "bkp_aaaaaaaaaaaa": None,
        "bkp_bbbbbbbbbbbb": "bkp_aaaaaaaaaaaa",
        "bkp_cccccccccccc": "bkp_bbbbbbbbbbbb",
    }


def test_what_a_chain_builds_on_may_not_be_of_another_database_or_gone_here(disk: Destination) -> None:
    foreign = FULL.replace("shop", "crm")
    put(disk, foreign, body(foreign))
    put(disk, SECOND, body(SECOND, FULL))
    found = adopted(disk)
    assert [one.reason for one in found.refused] == ["builds on bkp_aaaaaaaaaaaa, which is of another Database"]
    Backup.objects.update(status=Status.EXPIRED, database="shop")
    again = adopted(disk)
    assert [one.reason for one in again.refused] == ["builds on bkp_aaaaaaaaaaaa, which is expired here"]


def changed(**parts: Any) -> dict[str, Any]:
    found = body(FULL)
    for name, value in parts.items():
        part, _, field = name.partition("__")
        if field:
            found[part][field] = value
        else:
            found[part] = value
    return found


BAD: dict[str, Any] = {
    "cut": json.dumps(body(FULL))[:200],
    "empty": "",
    "list": "[]",
    "deep": "[" * 100_000,
    "newer": changed(schema_version=2),
    "no version": changed(schema_version=None),
    "other key": changed(artefact__key=SECOND),
    "other id": changed(backup__id="bkp_bbbbbbbbbbbb"),
    "other database": changed(database__id="crm"),
    "negative size": changed(artefact__size=-1),
    "bool size": changed(artefact__size=True),
    "endless number": json.dumps(body(FULL)).replace('"counts": {"public.orders": 3}', '"counts": 1e999'),
    "huge size": changed(artefact__original_size=1 << 70),
    "NUL": changed(database__name="a\0b"),
    "half a character": json.dumps(changed(database__name="x")).replace('"x"', '"\\ud800"'),
    "long name": changed(database__name="x" * 201),
    "list name": changed(database__name=["x"]),
    "unknown engine": changed(database__engine="oracle"),
    "engine object": changed(database__engine={}),
    "short digest": changed(artefact__sha256="ab"),
    "digest newline": changed(artefact__sha256="a" * 63 + "\n"),
    "no time": changed(backup__created_at="yesterday"),
    "no zone": changed(backup__created_at="2026-03-01T03:00:00"),
    "early time": changed(backup__created_at="0001-01-01T00:00:00+14:00"),
    "parents of a full one": changed(artefact__parents=[SECOND]),
    "no parents": changed(backup__type="incremental"),
    "itself": {**changed(backup__type="incremental"), "artefact": {**body(FULL)["artefact"], "parents": [FULL]}},
    "hostile parent": changed(backup__type="incremental", artefact__parents=["../../etc/passwd"]),
    "numbers": changed(artefact__parents=[1]),
    "engine facts": changed(engine=[]),
    "index": changed(artefact__index="x"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_sidecar_is_reported_by_itself_and_the_rest_is_taken(disk: Destination, name: str) -> None:
    put(disk, FULL, BAD[name])
    put(disk, THIRD, body(THIRD))
    found = adopted(disk)
    assert (found.backups, found.refusals) == (1, 1), found
    assert found.refused[0].key in (FULL, sidecar_key(FULL))
    assert found.refused[0].reason
    assert list(Backup.objects.values_list("pk", flat=True)) == ["bkp_cccccccccccc"]


def test_bytes_that_are_no_text_other_sizes_and_missing_artefacts_are_reported(disk: Destination) -> None:
    put(disk, FULL, None)
    open_storage(disk).write(sidecar_key(FULL), BytesReader(b"\xff\xfe"))
    put(disk, SECOND, body(SECOND), data=b"longer than told")
    open_storage(disk).write_text(sidecar_key(THIRD), json.dumps(body(THIRD)))
    found = adopted(disk)
    assert (found.backups, found.refusals) == (0, 3)
    reasons = " ".join(one.reason for one in found.refused)
    assert "UTF-8" in reasons
    assert "has 16 bytes; its sidecar says 8" in reasons
    assert "no artefact beside" in reasons


def test_a_number_that_two_artefacts_bear_is_taken_once(disk: Destination) -> None:
    twin = FULL.replace("03-00-00", "04-00-00")
    put(disk, FULL, body(FULL))
    put(disk, twin, body(twin))
    found = adopted(disk)
    assert (found.backups, found.copies, found.refusals) == (1, 0, 1)


def test_what_is_no_sidecar_of_ours_is_left_alone_and_packages_are_counted(disk: Destination) -> None:
    package = "packages/2026/03/package_2026-03-01_03-30-00_pkg_abcdefghij12-1.zip"
    put(disk, package, "{}")
    put(disk, "notes/readme", "{}")
    put(disk, FULL, None)
    found = adopted(disk)
    assert (found.sidecars, found.packages, found.backups, found.refusals) == (1, 1, 0, 0)


def test_a_place_that_another_destination_is_too_is_not_adopted_twice(disk: Destination) -> None:
    """A second row for the same bucket would let a deletion at one take the object of the other."""
    put(disk, FULL, body(FULL))
    adopted(disk)
    Copy.objects.update(destination=_bucket("one"))
    place = _bucket("two")
    assert service._rows_of(place, [list_sidecars.Listed(FULL, 1, 8)]) == {FULL}


def _bucket(pk: str) -> Destination:
    values = {"name": pk, "kind": "s3", "bucket": "store", "prefix": "here/"}
    return Destination.objects.create(pk=pk, endpoint_url=f"http://{pk}:9000", **values)


def test_the_order_and_the_sizes_of_a_list_are_not_relied_on(
    disk: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_sidecars, "PAIRED", 1)
    monkeypatch.setattr(list_sidecars, "PAGE", 2)
    storage = type(open_storage(disk))
    listed = storage.list
    monkeypatch.setattr(storage, "list", lambda self, prefix="": reversed(list(listed(self, prefix))))
    put(disk, FULL, body(FULL))
    put(disk, SECOND, body(SECOND, FULL))
    put(disk, THIRD, body(THIRD, FULL, SECOND))
    found = adopted(disk)
    assert (found.backups, found.refusals) == (3, 0)


@pytest.fixture
def many(disk: Destination) -> Iterator[Callable[[int], None]]:
    """Written past the storage: nothing here is about how it writes."""
    root = Path(disk.path)

    def make(count: int) -> None:
        for number in range(count):
            key = KEY.format(day=1 + number % 28, id=f"{number:012}")
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            (root / key).write_bytes(b"artefact")
            (root / sidecar_key(key)).write_text(json.dumps(body(key)))

    yield make
    shutil.rmtree(root)


def test_queries_grow_with_pages_and_not_with_sidecars(
    disk: Destination, many: Callable[[int], None], django_assert_max_num_queries: Any
) -> None:
    many(3 * list_sidecars.PAGE)
    with django_assert_max_num_queries(60):
        assert adopted(disk).backups == 3 * list_sidecars.PAGE


def test_the_command_tells_refuses_and_ends_honestly(disk: Destination, capsys: pytest.CaptureFixture[str]) -> None:
    put(disk, FULL, body(FULL))
    call_command("adopt", destination=["disk"])
    told = capsys.readouterr()
    assert "1 backups and 0 further copies adopted" in told.out
    assert "shop (postgres, named 'Der Shop'): register it under this id" in told.err
    put(disk, SECOND, "{")
    with pytest.raises(SystemExit) as ended:
        call_command("adopt", "--json")
    assert ended.value.code == 1
    (one,) = json.loads(capsys.readouterr().out)["destinations"]
    assert (one["known"], one["refusals"]) == (1, 1)
    with pytest.raises(SystemExit) as ended:
        call_command("adopt", destination=["nowhere"])
    assert ended.value.code == 2


def test_a_destination_that_is_lost_holds_up_no_other(disk: Destination, tmp_path: Path) -> None:
    lost = local_destination(tmp_path / "lost", id="another", is_default=False)
    shutil.rmtree(lost.path)
    put(disk, FULL, body(FULL))
    first, second = adopt(destinations=[lost, disk])
    assert "is not a folder" in first.error
    assert (second.backups, second.error) == (1, "")
    with pytest.raises(SystemExit) as ended:
        call_command("adopt")
    assert ended.value.code == 1


def test_keys_that_the_site_gives_are_read_back() -> None:
    backup = Backup(pk="bkp_0a1b2c3d4e5f", database_id="db_a1-b")
    at = parts_of(FULL)
    assert at is not None
    key = key_of(backup=backup, attempt=12, extension=".archive.zst.age", at=at.at)
    found = parts_of(key)
    assert found is not None
    assert (found.folder, found.run, found.attempt, found.at) == ("db_a1-b", backup.pk, 12, at.at)
    assert parts_of(key.replace("03-00-00", "93-00-00")) is None
