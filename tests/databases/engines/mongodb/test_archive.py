"""An archive that is not exactly what mongodump wrote is told from one that is."""

import struct
from dataclasses import replace

import bson
import pytest
from fastcrc.crc64 import xz as crc64
from hypothesis import given, settings
from hypothesis import strategies as st

from databases.engines.mongodb.archive import MAGIC, Archive
from databases.engines.mongodb.filter import END, FilteredSource
from databases.engines.mongodb.structure import MongoStructure
from databases.engines.mongodb.verify import verify_structure
from jobs.errors import BackupError
from tests.contracts.engines import BytesSource, Dumped, RecordingGuard, dump_of
from tests.databases.engines.mongodb.conftest import engine_to
from tests.servers.mongodb import MongoServer


@pytest.fixture(scope="module")
def dumped(mongodb_server: MongoServer, sample: str) -> Dumped:
    return dump_of(engine_to(mongodb_server, sample, exclude_collections=("orders", "fs.*")))


def read(data: bytes, sizes: list[int] | None = None) -> Archive:
    archive, at, turn = Archive(), 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)] if sizes else len(data)
        archive.feed(memoryview(data)[at : at + size])
        at, turn = at + size, turn + 1
    archive.finish()
    return archive


def damage_of(data: bytes) -> str:
    with pytest.raises(BackupError) as raised:
        read(data)
    assert raised.value.code == "structure"
    return raised.value.message


def end_block(name: str, crc: int) -> bytes:
    return bson.encode({"db": "d", "collection": name, "EOF": True, "CRC": bson.Int64(crc)}) + END


def made(*blocks: bytes) -> bytes:
    header = {"concurrent_collections": 4, "version": "0.1", "server_version": "6", "tool_version": "100"}
    member = {"db": "d", "collection": "c", "metadata": "{}", "size": 0, "type": "collection"}
    return MAGIC + bson.encode(header) + bson.encode(member) + END + b"".join(blocks)


BEGIN = bson.encode({"db": "d", "collection": "c", "EOF": False, "CRC": bson.Int64(0)})


@given(sizes=st.lists(st.integers(1, 70_000), min_size=1, max_size=5))
@settings(max_examples=8, deadline=None)
def test_blocks_may_be_cut_anywhere(sizes: list[int], dumped: Dumped) -> None:
    assert read(dumped.data, sizes).counts() == read(dumped.data).counts() == dumped.manifest["counts"]


def test_documents_are_handed_out_whole_however_the_blocks_are_cut(dumped: Dumped) -> None:
    found: list[bytes] = []
    archive = Archive(document=found.append)
    for at in range(0, len(dumped.data), 997):
        archive.feed(memoryview(dumped.data)[at : at + 997])
    archive.finish()
    assert all(len(raw) == struct.unpack("<i", raw[:4])[0] for raw in found)
    assert len(found) == sum(archive.counts().values())


def test_a_changed_byte_of_a_document_is_found_by_its_collections_checksum(dumped: Dumped) -> None:
    at = dumped.data.index(b"Zebra")
    changed = dumped.data[:at] + b"z" + dumped.data[at + 1 :]
    assert "checksum" in damage_of(changed)


def test_nothing_may_follow_and_nothing_may_be_missing(dumped: Dumped) -> None:
    damage_of(dumped.data + b"\0")
    damage_of(dumped.data + dumped.data[:100])
    assert "empty" in damage_of(b"")
    assert "ends before d.c" in damage_of(made())
    assert "ends before d.c" in damage_of(made(BEGIN + bson.encode({}) + END))
    assert "does not name" in damage_of(made(end_block("other", 0)))
    assert "goes on after its end" in damage_of(made(end_block("c", 0), BEGIN + END))
    assert read(made(end_block("c", 0))).counts() == {"d.c": 0}


def test_a_document_that_is_no_bson_inside_is_found_by_a_verification_only() -> None:
    document = struct.pack("<i", 12) + b"\x02abcdef\x00"
    data = made(BEGIN + document + END, end_block("c", crc64(document) - (1 << 64 if crc64(document) >> 63 else 0)))
    assert read(data).counts() == {"d.c": 1}
    with pytest.raises(BackupError) as raised:
        verify_structure(BytesSource(data, {}), RecordingGuard())
    assert raised.value.code == "structure"


def test_counts_have_to_be_those_of_the_manifest(dumped: Dumped) -> None:
    name = next(iter(dumped.manifest["counts"]))
    wrong = replace(dumped, manifest={"counts": {name: 123456}})
    with pytest.raises(BackupError) as raised:
        verify_structure(wrong.source(), RecordingGuard())
    assert (raised.value.code, "123456" in raised.value.message) == ("structure", True)


def test_a_sifted_archive_is_whole_and_holds_what_was_wanted(dumped: Dumped) -> None:
    source = FilteredSource(dumped.source(), dumped.manifest, lambda member: member.name in ("types", "weather"))
    data, block = bytearray(), bytearray(1000)
    while count := source.readinto(block):
        data += block[:count]
    counts = read(bytes(data)).counts()
    assert {name.split(".", 1)[1] for name in counts} == {"types", "weather"}
    assert counts.items() <= dict(dumped.manifest["counts"]).items()
    structure = MongoStructure()
    structure.feed(memoryview(bytes(data)))
    assert structure.finish()["collections"] == 2
