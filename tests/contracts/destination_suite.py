"""What every Destination's storage keeps to. A new kind joins by a class with `storage` and `leftovers`."""

import hashlib
import io
import os
import random
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.base import ContentFile

from backups.storage.base import ObjectStorage
from backups.storage.readers import Reader
from jobs.errors import BackupError

MIB = 1 << 20
ELSEWHERE = ("", "/", "/etc/passwd", "../up", "a/../../up", "a//b", "./a", "a/", "nul\0", "x" * 1001, "a.partial")
ODD_KEYS = ("with space", "ünï/çødé 😀", "a+b&c=d?e#f%20", "deep/er/and/deeper", ".hidden", "quote'\"", "back\\slash")


class DumpFailed(Exception):
    """Not a BackupError on purpose: whatever a reader raises goes through."""


class Producer:
    """A reader as a dump is one: short reads where asked, and a failure after `size` bytes where asked."""

    def __init__(self, size: int, *, fails: bool = False, short: bool = False) -> None:
        self.left, self.fails, self.short = size, fails, short
        self.digest = hashlib.sha256()
        self._random = random.Random(size)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        wanted = min(len(buffer), self.left)
        if self.short and wanted:
            wanted = self._random.randint(1, min(wanted, 300_000))
        if not wanted and self.fails:
            raise DumpFailed
        block = self._random.randbytes(wanted)
        buffer[:wanted] = block
        self.digest.update(block)
        self.left -= wanted
        return wanted


def drain(reader: Reader, block: int = MIB) -> bytes:
    found, buffer = bytearray(), bytearray(block)
    while count := reader.readinto(buffer):
        found += buffer[:count]
    return bytes(found)


def read(storage: ObjectStorage, key: str, *, start: int = 0, length: int | None = None) -> bytes:
    with storage.open_stream(key, start=start, length=length) as reader:
        return drain(reader)


class DestinationSuite:
    """`sizes` are those that matter to the kind: nothing, one byte, around its block or part size."""

    has_links = True
    sizes: tuple[int, ...] = (0, 1, 1000, MIB - 1, MIB, MIB + 1, 40 * MIB + 17)

    def shorten_pages(self, storage: ObjectStorage) -> None:
        """Makes the store answer a list in pages of ten, where it answers in pages."""

    @pytest.fixture
    def storage(self) -> ObjectStorage:
        raise NotImplementedError

    @pytest.fixture
    def leftovers(self) -> Callable[[], list[str]]:
        """Lists what unfinished writes left behind anywhere in the Destination."""
        raise NotImplementedError

    def test_what_was_written_comes_back(self, storage: ObjectStorage) -> None:
        for size in self.sizes:
            producer = Producer(size)
            assert storage.write(f"size/{size}", producer) == size
            assert hashlib.sha256(read(storage, f"size/{size}")).digest() == producer.digest.digest()

    def test_a_short_read_is_not_the_end(self, storage: ObjectStorage) -> None:
        producer = Producer(35 * MIB, short=True)
        assert storage.write("short", producer) == 35 * MIB
        assert hashlib.sha256(read(storage, "short")).digest() == producer.digest.digest()

    @pytest.mark.parametrize("size", [0, 1, MIB, 16 * MIB, 33 * MIB])
    def test_a_reader_that_raises_leaves_nothing(
        self, storage: ObjectStorage, leftovers: Callable[[], list[str]], size: int
    ) -> None:
        with pytest.raises(DumpFailed):
            storage.write("failed/object", Producer(size, fails=True, short=True))
        assert storage.stat("failed/object") is None
        assert list(storage.list("")) == []
        assert leftovers() == []

    def test_djangos_save_is_as_strict(self, storage: ObjectStorage, leftovers: Callable[[], list[str]]) -> None:
        with pytest.raises(DumpFailed):
            storage.save("saved", Producer(18 * MIB, fails=True))  # type: ignore[arg-type]
        assert storage.stat("saved") is None
        assert leftovers() == []
        assert storage.save("saved", ContentFile(b"whole")) == "saved"
        assert storage.save("text", ContentFile("wörds")) == "text"
        with storage.open("saved") as file:
            assert file.read() == b"whole"
        assert storage.read_text("text") == "wörds"

    def test_djangos_open_does_not_write(self, storage: ObjectStorage) -> None:
        with pytest.raises(ValueError, match="only reads"):
            storage.open("truncated", "wb")

    @pytest.mark.parametrize("after", [0, 1, 20])
    def test_a_cancel_leaves_nothing(
        self, storage: ObjectStorage, leftovers: Callable[[], list[str]], after: int
    ) -> None:
        calls = iter(range(after + 1))

        def check() -> None:
            if next(calls, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            storage.write("cancelled", Producer(40 * MIB), check=check)
        assert storage.stat("cancelled") is None
        assert leftovers() == []

    def test_an_object_is_not_there_before_it_is_whole(self, storage: ObjectStorage) -> None:
        seen: list[object] = []

        class Looking(Producer):
            def readinto(self, buffer: bytearray | memoryview) -> int:
                if not self.left:
                    seen.extend([storage.stat("whole"), *storage.list("whole")])
                return super().readinto(buffer)

        storage.write("whole", Looking(20 * MIB))
        assert seen == [None]
        assert storage.stat("whole") is not None

    def test_stat_tells_size_and_time(self, storage: ObjectStorage) -> None:
        storage.write("told", Producer(1234))
        found = storage.stat("told")
        assert found is not None
        assert (found.key, found.size) == ("told", 1234)
        assert found.modified.tzinfo == UTC
        assert abs(datetime.now(UTC) - found.modified) < timedelta(minutes=1)

    def test_stat_of_nothing_is_none(self, storage: ObjectStorage) -> None:
        assert storage.stat("nothing") is None
        assert storage.stat("no/such/folder") is None

    def test_ranges(self, storage: ObjectStorage) -> None:
        content = os.urandom(37 * MIB)
        storage.write("ranged", io.BytesIO(content))
        ranges = ((0, 0), (0, 1), (5, None), (16 * MIB - 3, 7), (17 * MIB, None), (37 * MIB, 0))
        for start, length in ranges:
            end = None if length is None else start + length
            assert read(storage, "ranged", start=start, length=length) == content[start:end], (start, length)

    def test_a_range_past_the_end_is_an_error(self, storage: ObjectStorage) -> None:
        storage.write("small", Producer(10))
        for start, length in ((0, 11), (11, None), (10, 1), (-1, 1)):
            with pytest.raises(BackupError) as raised, storage.open_stream("small", start=start, length=length):
                pass
            assert raised.value.code == "object_truncated"

    def test_a_read_of_nothing_is_an_error(self, storage: ObjectStorage) -> None:
        with pytest.raises(BackupError) as raised, storage.open_stream("nothing"):
            pass
        assert raised.value.code == "object_missing"
        assert raised.value.permanent

    def test_a_read_may_end_early(self, storage: ObjectStorage) -> None:
        storage.write("long", Producer(50 * MIB))
        with storage.open_stream("long") as reader:
            assert reader.readinto(bytearray(10)) == 10

    def test_odd_keys(self, storage: ObjectStorage) -> None:
        for key in ODD_KEYS:
            storage.write(key, io.BytesIO(key.encode()))
        assert {found.key for found in storage.list("")} == set(ODD_KEYS)
        for key in ODD_KEYS:
            assert storage.read_text(key) == key
            storage.delete(key)
        assert list(storage.list("")) == []

    def test_keys_that_lead_elsewhere_are_refused(self, storage: ObjectStorage) -> None:
        attempts: tuple[Callable[[str], object], ...] = (
            lambda key: storage.write(key, Producer(1)),
            lambda key: storage.write_text(key, ""),
            lambda key: storage.open_stream(key).__enter__(),
            storage.stat,
            storage.delete,
            storage.abort_uploads,
        )
        for key in ELSEWHERE:
            for attempt in attempts:
                with pytest.raises(BackupError) as raised:
                    attempt(key)
                assert raised.value.code == "invalid_key", key

    def test_a_list_goes_beyond_a_page(self, storage: ObjectStorage) -> None:
        self.shorten_pages(storage)
        keys = [f"many/{number:02}" for number in range(33)]
        for key in keys:
            storage.write(key, Producer(0))
        assert [found.key for found in storage.list("many/")] == keys
        assert [found.key for found in storage.list("many/1")] == keys[10:20]

    def test_a_prefix_is_a_prefix_of_the_key(self, storage: ObjectStorage) -> None:
        for key in ("a/b", "a/bc/d", "ab", "b/a"):
            storage.write(key, Producer(3))
        assert [found.key for found in storage.list("a/b")] == ["a/b", "a/bc/d"]
        assert [found.key for found in storage.list("a/bc/")] == ["a/bc/d"]
        assert list(storage.list("none/such")) == []

    def test_delete_is_idempotent(self, storage: ObjectStorage) -> None:
        storage.write("twice", Producer(3))
        storage.delete("twice")
        storage.delete("twice")
        storage.delete("never/was")
        assert storage.stat("twice") is None

    def test_a_text_replaces_the_older_one(self, storage: ObjectStorage) -> None:
        storage.write_text("object.manifest.json", '{"näme": 1}' * 1000)
        storage.write_text("object.manifest.json", '{"näme": 2}')
        assert storage.read_text("object.manifest.json") == '{"näme": 2}'

    def test_a_link_downloads_under_its_name(self, storage: ObjectStorage) -> None:
        storage.write("linked/ö bject", io.BytesIO(b"content"))
        link = storage.presigned_url("linked/ö bject", expires_in=60, filename='shop "ö".dump')
        assert (link is not None) == self.has_links
        if link is None:
            return
        with urllib.request.urlopen(link) as answer:
            assert answer.read() == b"content"
            assert "filename*=utf-8''shop%20%22%C3%B6%22.dump" in answer.headers["Content-Disposition"]

    def test_a_write_that_has_not_ended_is_listed_apart(self, storage: ObjectStorage) -> None:
        seen: list[tuple[str, bool]] = []

        def check() -> None:
            seen.extend(
                (found.key, found.started > datetime.now(UTC) - timedelta(minutes=5))
                for found in storage.list_unfinished("under")
            )
            seen.extend((found.key, False) for found in storage.list_unfinished("other"))

        storage.write("under/way", Producer(40 * MIB), check=check)
        assert set(seen) == {("under/way", True)}
        assert list(storage.list_unfinished()) == []

    def test_nothing_to_abort(self, storage: ObjectStorage) -> None:
        storage.write("finished", Producer(3))
        assert storage.abort_uploads("finished") == 0
        assert storage.abort_uploads("never/was") == 0
        assert storage.stat("finished") is not None

    def test_a_check_leaves_nothing(self, storage: ObjectStorage, leftovers: Callable[[], list[str]]) -> None:
        report = storage.check()
        assert (report.ok, report.error, report.warnings) == (True, "", ())
        assert report.latency_ms is not None and 0 < report.latency_ms < 5000
        assert list(storage.list("")) == []
        assert leftovers() == []
