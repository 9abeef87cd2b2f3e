"""What is particular about a file: who may name it, who else has it open, and what is left of a kill."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from databases.engines.base import DumpRequest, Engine, RestoreRequest
from databases.engines.folder import FRESH_S
from databases.engines.proof import ScratchRequest
from databases.engines.sqlite import dump
from databases.engines.sqlite.engine import SqliteEngine
from jobs.errors import BackupError
from tests.contracts.engines import Dumped, RecordingGuard, dump_of
from tests.databases.engines.sqlite.test_suite import content, engine_for, sample
from tests.live import until


@pytest.fixture
def shop(tmp_path: Path) -> Engine:
    sample(tmp_path / "shop.sqlite3", rows=300)
    return engine_for(tmp_path / "shop.sqlite3", tmp_path)


def restore(engine: Engine, dumped: Dumped, *, drop_existing: bool = False) -> None:
    engine.restore([dumped.source()], RestoreRequest(guard=RecordingGuard(), drop_existing=drop_existing))


def refused(engine: Engine, dumped: Dumped, *, drop_existing: bool = False) -> str:
    with pytest.raises(BackupError) as raised:
        restore(engine, dumped, drop_existing=drop_existing)
    return raised.value.code


def dump_after_more(shop: Engine) -> Dumped:
    """A dump, after the writer had its turn."""
    with closing(sqlite3.connect(shop.options.path, timeout=20)) as database:

        def count() -> int:
            return int(database.execute("SELECT count(*) FROM orders").fetchone()[0])

        before = count()
        until(lambda: count() > before, seconds=60)
    return dump_of(shop)


def test_a_dump_is_of_one_moment_while_others_write(shop: Engine, tmp_path: Path) -> None:
    """Each transaction writes two rows: an odd count is half of one."""
    over = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(shop.options.path, timeout=20)) as database:
            while not over.is_set():
                with database:
                    database.execute("INSERT INTO orders (who) VALUES ('a')")
                    database.execute("INSERT INTO orders (who, body) VALUES ('b', zeroblob(4000))")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        dumps = [dump_after_more(shop) for _ in range(3)]
    finally:
        over.set()
        writer.join()
    counts = [dumped.manifest["counts"]["orders"] for dumped in dumps]
    assert counts == sorted(set(counts)), "it was written to between them"
    for number, (dumped, count) in enumerate(zip(dumps, counts, strict=True)):
        target = engine_for(tmp_path / f"restored-{number}.sqlite3", tmp_path)
        restore(target, dumped)
        with closing(sqlite3.connect(target.options.path)) as database:
            assert database.execute("SELECT count(*), sum(who='a') - sum(who='b') FROM orders").fetchone() == (count, 0)
        assert count % 2 == 0


class WritingGuard(RecordingGuard):
    """Whenever the engine looks at its job, somebody else has just written."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def check(self) -> None:
        super().check()
        assert self.checks < 500, "the copy begins again each time"
        with closing(sqlite3.connect(self._path, timeout=20)) as database, database:
            database.execute("INSERT INTO orders (who) VALUES ('more')")


def test_a_copy_that_others_write_to_all_the_time_ends(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump, "PAGES", 1)
    dumped = dump_of(shop, DumpRequest(guard=WritingGuard(shop.options.path)))
    assert 300 <= dumped.manifest["counts"]["orders"] <= 310


def test_only_the_named_folders_and_no_way_out_of_them(shop: Engine, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link.sqlite3").symlink_to(shop.options.path)
    (allowed / "folder").symlink_to(tmp_path)
    for path in (shop.options.path, allowed / "link.sqlite3", allowed / "folder" / "shop.sqlite3", "/etc/passwd"):
        engine = engine_for(Path(path), allowed)
        assert engine.check().code == "path_not_allowed"
        with pytest.raises(BackupError) as raised, engine.dump(DumpRequest(guard=RecordingGuard())):
            pass
        assert raised.value.code == "path_not_allowed"
    dumped = dump_of(shop)
    outside = engine_for(allowed / "folder" / "new.sqlite3", allowed)
    assert refused(outside, dumped) == "path_not_allowed"
    assert not (tmp_path / "new.sqlite3").exists()


def test_without_folders_only_the_sites_own_file_is_read_and_nobody_restores_over_it(shop: Engine) -> None:
    own = SqliteEngine(shop.connection, shop.options, {"sqlite_own": shop.options.path})
    dumped = dump_of(own)
    assert refused(own, dumped, drop_existing=True) == "own_database"
    other = replace(own.options, path=own.options.path + "2")
    assert SqliteEngine(own.connection, other, own.settings).check().code == "path_not_allowed"


def test_a_file_that_a_program_has_open_is_not_replaced(shop: Engine, tmp_path: Path) -> None:
    dumped = dump_of(shop)
    target = engine_for(tmp_path / "target.sqlite3", tmp_path)
    restore(target, dumped)
    os.chmod(target.options.path, 0o640)
    with closing(sqlite3.connect(target.options.path)) as program:
        program.execute("INSERT INTO orders (who) VALUES ('mine')")
        program.commit()
        before = content(target.options.path)
        assert refused(target, dumped, drop_existing=True) == "target_in_use"
        assert content(target.options.path) == before
    restore(target, dumped, drop_existing=True)
    assert content(target.options.path) == content(shop.options.path)
    assert os.stat(target.options.path).st_mode & 0o777 == 0o640
    assert not list(tmp_path.glob(".target*")), "nothing is left beside it"


def test_what_a_killed_dump_leaves_is_removed_by_the_next_one(shop: Engine, tmp_path: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from databases.engines.base import DumpRequest
from tests.contracts.engines import RecordingGuard
from tests.databases.engines.sqlite.test_suite import engine_for
with engine_for(Path(sys.argv[1]), Path(sys.argv[2])).dump(DumpRequest(guard=RecordingGuard())):
    print("copied", flush=True)
    time.sleep(60)
"""
    argv = [sys.executable, "-c", script, shop.options.path, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "copied\n"
        process.send_signal(signal.SIGKILL)
    (left,) = (tmp_path / "tmp").iterdir()
    assert (left / "copy.sqlite3").stat().st_mode & 0o077 == 0
    os.utime(left, (time.time() - 2 * FRESH_S, time.time() - 2 * FRESH_S))
    dump_of(shop)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_damage_that_counts_do_not_show_is_found(shop: Engine, tmp_path: Path) -> None:
    """An index that does not belong to its table: every count is right."""
    dumped, spoiled = dump_of(shop), tmp_path / "spoiled.sqlite3"
    spoiled.write_bytes(dumped.data)
    with closing(sqlite3.connect(spoiled, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute("PRAGMA writable_schema=ON")
        other = "CREATE INDEX orders_by_who ON orders (price)"
        database.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'orders_by_who'", [other])
    damaged = replace(dumped, data=spoiled.read_bytes())
    target = engine_for(tmp_path / "target.sqlite3", tmp_path)
    with pytest.raises(BackupError) as raised:
        shop.verify_structure(damaged.source(), RecordingGuard())
    assert raised.value.code == "structure"
    assert refused(target, damaged) == "structure"
    assert content(target.options.path) is None


@pytest.fixture
def drilled(shop: Engine, tmp_path: Path) -> Iterator[tuple[Engine, Dumped]]:
    dumped = dump_of(shop)
    request = ScratchRequest("drill_1", RecordingGuard(), dumped.manifest, settings=shop.settings)
    with SqliteEngine.scratch(request) as target:
        restore(target, dumped)
        yield target, dumped
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_drill_finds_everything_equal(drilled: tuple[Engine, Dumped]) -> None:
    target, dumped = drilled
    found = target.compare(dumped.manifest, RecordingGuard())
    assert (found.total, found.notes) == (0, ())
    assert found.checked == {"table": 2, "rows": 2, "row_hash": 2, "schema": 4}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("DELETE FROM orders WHERE id = 5", "rows"),
        ("UPDATE orders SET price = 0 WHERE id = 5", "row_hash"),
        ("DROP INDEX orders_by_who", "schema"),
        ('DROP TABLE "od""d näme"', "table"),
    ],
)
def test_a_drill_tells_what_differs(drilled: tuple[Engine, Dumped], change: str, kind: str) -> None:
    target, dumped = drilled
    with closing(sqlite3.connect(target.options.path)) as database, database:
        database.execute(change)
    found = target.compare(dumped.manifest, RecordingGuard())
    assert kind in {one.kind for one in found.differences}


def test_what_a_killed_drill_left_is_removed_by_name(shop: Engine, tmp_path: Path) -> None:
    request = ScratchRequest("drill_2", RecordingGuard(), {}, settings=shop.settings)
    left = tmp_path / "tmp" / "backupsite-drill-drill_2"
    left.mkdir(parents=True)
    (left / "scratch.sqlite3").write_text("half")
    SqliteEngine.remove_scratch(request)
    SqliteEngine.remove_scratch(request)
    assert not left.exists()


def test_assertions_are_answered_and_change_nothing(shop: Engine, tmp_path: Path) -> None:
    def ask(sql: str) -> object:
        assert SqliteEngine.assertion_fault({"sql": sql}) == ""
        return shop.evaluate({"sql": sql}, RecordingGuard())

    assert ask("SELECT count(*) FROM orders") == 300
    assert ask("SELECT max(price) < 2 FROM orders") == 1
    before = content(shop.options.path)
    for sql in (
        "DELETE FROM orders",
        "SELECT who FROM orders LIMIT 1",
        "SELECT 1, 2",
        "SELECT id FROM orders",
        "nonsense",
        "SELECT 1; SELECT 2",
        f"ATTACH '{tmp_path / 'made.sqlite3'}' AS made",
        "PRAGMA journal_mode=DELETE",
    ):
        with pytest.raises(BackupError) as raised:
            ask(sql)
        assert raised.value.code == "assertion", sql
    assert content(shop.options.path) == before
    assert not (tmp_path / "made.sqlite3").exists()
    assert shop.evaluate("SELECT count(*) FROM orders", RecordingGuard()) == 300, "a text is enough"
    assert SqliteEngine.assertion_fault("SELECT 1") == ""
    for query in ({}, {"sql": ""}, {"sql": 1}, " ", None, {"sql": "SELECT 1", "x": 1}):
        assert SqliteEngine.assertion_fault(query)
