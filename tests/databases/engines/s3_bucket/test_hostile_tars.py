"""Archives that somebody has tampered with: refused in bounded memory, and before anything is believed of them."""

import resource
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from databases.engines.base import RestoreRequest
from databases.engines.s3_bucket import tarformat
from databases.engines.s3_bucket.put import MOST_PARTS, part_size
from databases.engines.s3_bucket.reader import LARGEST_OBJECT
from databases.engines.s3_bucket.verify import verify_structure
from jobs.errors import BackupError
from tests.contracts.engines import BytesSource, RecordingGuard
from tests.databases.engines.s3_bucket.buckets import content_of, keys_of, uploads_of
from tests.databases.engines.s3_bucket.crafted import AT, MANIFEST, Artefact, facts, member, own, raw
from tests.databases.engines.s3_bucket.helpers import engine_to
from tests.servers.s3 import S3Server

KIB = 1 << 10


def with_size(field: bytes) -> bytes:
    """A header whose size field says something of its own, with a checksum that holds."""
    header = bytearray(tarformat.own_header("x", 0, AT))
    header[124:136] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def pax(records: bytes, size: int | None = None) -> bytes:
    return raw("x", b"x", size=len(records) if size is None else size) + records + tarformat.padding(len(records))


def whole(key: str = "a") -> bytes:
    return member(facts(key, b"1"), b"1")


HOSTILE: dict[str, Callable[[Artefact], Artefact]] = {
    "a symbolic link": lambda a: a.piece(raw("link", tarfile.SYMTYPE, linkname="/etc/passwd")),
    "a hard link": lambda a: a.piece(raw("link", tarfile.LNKTYPE, linkname="/etc/passwd")),
    "a device": lambda a: a.piece(raw("null", tarfile.CHRTYPE)),
    "a FIFO": lambda a: a.piece(raw("fifo", tarfile.FIFOTYPE)),
    "a folder": lambda a: a.piece(raw("folder", tarfile.DIRTYPE)),
    "a GNU long name": lambda a: a.piece(raw("x" * 300, tarfile.REGTYPE)),
    "a global header": lambda a: a.piece(raw("g", b"g", size=20) + b"20 BACKUPSITE.key=k\n" + bytes(492)),
    "a negative size": lambda a: a.piece(with_size(b"\xff" * 12)),
    "a binary size": lambda a: a.piece(with_size(b"\x80" + b"\x7f" * 11)),
    "a size that is no number": lambda a: a.piece(with_size(b"12345678901\0")),
    "a pax size below nothing": lambda a: a.piece(pax(b"11 size=-1\n") + own("x", b"")),
    "a pax size above everything": lambda a: a.piece(pax(b"29 size=%020d\n" % 10**19) + own("x", b"")),
    "an endless pax header": lambda a: a.piece(pax(b"11 path=x\n\n", size=(1 << 33) - 1)),
    "pax headers one after the other": lambda a: a.piece(pax(b"9 path=x\n") * 3 + whole()),
    "an empty pax header": lambda a: a.piece(pax(b"") + whole()),
    "a pax record past its header": lambda a: a.piece(pax(b"99999 path=x\n") + whole()),
    "a pax record without length": lambda a: a.piece(pax(b"path=x\n") + whole()),
    "a pax record twice": lambda a: a.piece(pax(b"9 path=x\n9 path=y\n") + whole()),
    "a pax record that is not UTF-8": lambda a: a.piece(pax(b"9 path=\xff\n") + whole()),
    "a member without a key": lambda a: a.piece(own("stranger", b"x")),
    "a name of another key": lambda a: a.add("a", b"1", name="b"),
    "a member without a line": lambda a: a.piece(whole()),
    "a line without a member": lambda a: a.add("a", b"1").piece(own(tarformat.MANIFEST.format(2), b'{"key": "b"}\n')),
    "a line with another digest": lambda a: _altered(a.add("a", b"1"), b'"sha256":"', b'"sha256":"0'),
    "a line with another type": lambda a: _altered(a.add("a", b"1"), b"text/plain", b"text/html"),
    "a line that is no JSON": lambda a: a.piece(own(tarformat.MANIFEST.format(1), b"\xff\n")),
    "a line as deep as the stack": lambda a: a.piece(own(tarformat.MANIFEST.format(1), b"[" * 100_000)),
    "metadata with a line break": lambda a: a.add("a", b"1", metadata={"user": {"x": "y\r\nX-Evil: 1"}}),
    "metadata with a bad name": lambda a: a.add("a", b"1", metadata={"user": {"x: y": "z"}}),
    "metadata that are no texts": lambda a: a.add("a", b"1", metadata={"user": {"x": 1}}),
    "a content type with a line break": lambda a: a.add("a", b"1", content_type="a\nb"),
    "a second summary": lambda a: a.add("a", b"1").piece(own(tarformat.SUMMARY, b'{"schema_version": 1}')),
    "padding with something in it": lambda a: a.piece(whole()[:-1] + b"x"),
    "a damaged header": lambda a: a.piece(b"y" + whole()[1:]),
    "an empty block between members": lambda a: a.piece(bytes(512) + whole()),
}


def _altered(artefact: Artefact, old: bytes, new: bytes) -> Artefact:
    artefact.lines[:] = artefact.lines.replace(old, new)
    return artefact


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


def test_a_sound_one_is_sound() -> None:
    facts = verify_structure(Artefact().add("a", b"1").add("b", b"").source(), RecordingGuard())
    assert (facts["objects"], facts["bytes"]) == (2, 1)


@pytest.mark.parametrize("what", HOSTILE)
def test_it_is_refused(what: str) -> None:
    before = peak()
    with pytest.raises(BackupError) as raised:
        verify_structure(HOSTILE[what](Artefact()).source(), RecordingGuard())
    assert raised.value.code == "structure"
    assert peak() - before < 64 << 20


@pytest.mark.parametrize("told", [{"objects": 2}, {"bytes": 0}, {"voided": 1}, {"manifests": 9}, {"schema_version": 2}])
def test_a_summary_that_counts_otherwise_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(BackupError) as raised:
        verify_structure(Artefact().add("a", b"1").source(**told), RecordingGuard())
    assert raised.value.code == "structure"


def test_bytes_after_the_end_are_refused() -> None:
    data = Artefact().add("a", b"1").data()
    for tail in (b"x", bytes(512)):
        with pytest.raises(BackupError) as raised:
            verify_structure(BytesSource(data + tail, MANIFEST), RecordingGuard())
        assert raised.value.code == "structure"


def test_an_absurd_size_takes_no_memory(s3: S3Server, s3_bucket: str) -> None:
    """5 TiB announced, some bytes there."""
    before = peak()
    huge = tarformat.header("big", facts("big", b"", size=5 << 40)) + bytes(40 << 20)
    with pytest.raises(BackupError) as raised:
        engine_to(s3, s3_bucket).restore([BytesSource(huge, MANIFEST)], RestoreRequest(guard=RecordingGuard()))
    assert raised.value.code == "structure"
    assert uploads_of(s3, s3_bucket) == []
    assert peak() - before < 200 << 20


def test_a_link_writes_nothing(s3: S3Server, s3_bucket: str) -> None:
    hostile = Artefact().piece(raw("link", tarfile.SYMTYPE, linkname="/etc/passwd")).add("a", b"1")
    with pytest.raises(BackupError) as raised:
        engine_to(s3, s3_bucket).restore([hostile.source()], RestoreRequest(guard=RecordingGuard()))
    assert raised.value.code == "structure"
    assert keys_of(s3, s3_bucket) == []


def test_a_void_copy_is_never_written(s3: S3Server, s3_bucket: str) -> None:
    """Small and large, with a better copy after it and without one."""
    artefact = Artefact()
    for key, body in (("a", b"void"), ("b", bytes(9 << 20))):
        artefact.add(key, body, voided=True)
        artefact.add(key, b"whole").add(f"{key}-gone", body, voided=True)
    report = engine_to(s3, s3_bucket).restore([artefact.source()], RestoreRequest(guard=RecordingGuard()))
    assert report.counts == {"objects": 2}
    assert keys_of(s3, s3_bucket) == ["a", "b"]
    assert len({found[0] for found in content_of(s3, s3_bucket).values()}) == 1
    assert uploads_of(s3, s3_bucket) == []


def test_metadata_that_http_cannot_carry_are_told(s3: S3Server, s3_bucket: str) -> None:
    artefact = Artefact().add("a", b"1", metadata={"user": {"who": "Zoë"}, "headers": {"expires": "soon"}})
    report = engine_to(s3, s3_bucket).restore([artefact.source()], RestoreRequest(guard=RecordingGuard()))
    assert report.notes == (
        "1 objects: an Expires header that is no date, left out.",
        "1 objects: metadata beyond ASCII, written in the form of RFC 2047.",
    )
    assert content_of(s3, s3_bucket)["a"][2] == "{'who': '=?utf-8?q?Zo=C3=AB?='}"


def test_the_largest_object_fits_in_the_parts_that_there_may_be() -> None:
    assert sum(map(part_size, range(1, MOST_PARTS + 1))) >= LARGEST_OBJECT
    assert part_size(MOST_PARTS) < 5 << 30
