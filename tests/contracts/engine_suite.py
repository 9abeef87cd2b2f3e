"""One suite every engine passes. To join: subclass EngineSuite and give the fixtures it names."""

import json
import os
import threading
import time
from dataclasses import replace
from typing import Self

import psutil
import pytest

from databases.engines.base import DumpRequest, Engine, RestoreRequest
from jobs.errors import BackupError
from tests.contracts.engines import RecordingGuard, dump_of

CANARY = "canary-5f1e"


class Stopped(Exception):
    """What a job's guard raises when it has to stop."""


class EngineSuite:
    """Give these fixtures:

    `engine`: a Database with a few MB in it, whose secrets contain CANARY.
    `target`: an empty Database it can be restored into, `same(engine, target)` compares the two.
    """

    nothing_is_whole = False  # whether an archive may be empty: then only its manifest tells it from a lost one

    @pytest.fixture
    def engine(self) -> Engine:
        raise NotImplementedError

    @pytest.fixture
    def target(self) -> Engine:
        raise NotImplementedError

    def same(self, engine: Engine, target: Engine) -> bool:
        raise NotImplementedError

    def with_password(self, engine: Engine, password: str) -> Engine:
        """The same Database under another password (or whatever secret its server asks for)."""
        return type(engine)(replace(engine.connection, password=password), engine.options, engine.settings)

    def away(self, engine: Engine) -> Engine:
        """The same Database on a loopback port where nobody listens."""
        return type(engine)(replace(engine.connection, host="127.0.0.1", port=1), engine.options, engine.settings)

    def test_a_check_says_versions_and_latency(self, engine: Engine) -> None:
        report = engine.check()
        assert report.ok, report
        assert report.latency_ms is not None
        assert report.server_version
        assert not (report.error or report.code or report.hint)

    def test_a_wrong_password_is_a_report_with_a_hint(self, engine: Engine) -> None:
        report = self.with_password(engine, f"{CANARY}-wrong").check()
        assert not report.ok
        assert report.error
        assert report.hint
        assert CANARY not in report.error + report.hint

    def test_an_unreachable_server_is_a_report_with_a_hint(self, engine: Engine) -> None:
        report = self.away(engine).check()
        assert (report.ok, report.code) == (False, "unreachable")
        assert report.hint

    def test_a_dump_with_a_wrong_password_raises_and_gives_no_byte(self, engine: Engine) -> None:
        wrong = self.with_password(engine, "no")
        with pytest.raises(BackupError) as raised, wrong.dump(DumpRequest(guard=RecordingGuard())) as dump:
            assert dump.readinto(bytearray(1 << 20)) == 0
        assert raised.value.permanent
        assert raised.value.hint

    def test_the_inventory_lists_what_is_there(self, engine: Engine) -> None:
        inventory = engine.inventory()
        assert inventory.items
        assert inventory.size

    def test_a_valid_configuration_has_no_faults(self, engine: Engine) -> None:
        assert engine.validate(engine.connection, engine.options) == {}

    def test_out_and_back_is_equal(self, engine: Engine, target: Engine) -> None:
        dumped = dump_of(engine)
        report = target.restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
        assert report.tool_version
        assert self.same(engine, target)

    def test_the_manifest_is_plain_json(self, engine: Engine) -> None:
        manifest = dump_of(engine).manifest
        assert json.loads(json.dumps(manifest)) == manifest
        assert manifest["server_version"]
        assert manifest["tool_version"]

    def test_the_bytes_do_not_depend_on_the_buffer(self, engine: Engine) -> None:
        assert abs(len(dump_of(engine, block=777).data) - len(dump_of(engine).data)) < 64

    def test_the_whole_archive_verifies_and_a_cut_one_does_not(self, engine: Engine) -> None:
        dumped = dump_of(engine)
        guard = RecordingGuard()
        assert engine.verify_structure(dumped.source(), guard)
        for length in (len(dumped.data) - 1, len(dumped.data) // 2, 100, 0):
            cut = replace(dumped, data=dumped.data[:length])
            with pytest.raises(BackupError) as raised:
                engine.verify_structure(cut.source(), guard)
            assert raised.value.code == "structure"
            structure = engine.structure(dumped.manifest if self.nothing_is_whole and not length else None)
            structure_fault: BackupError | None = None
            try:
                structure.feed(memoryview(cut.data))
                structure.finish()
            except BackupError as error:
                structure_fault = error
            assert structure_fault is not None
            assert structure_fault.code == "structure"

    def test_restoring_over_existing_data_is_refused(self, engine: Engine) -> None:
        dumped = dump_of(engine)
        with pytest.raises(BackupError) as raised:
            engine.restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
        assert (raised.value.code, raised.value.permanent) == ("target_not_empty", True)

    def test_drop_existing_replaces_what_was_there(self, engine: Engine, target: Engine) -> None:
        dumped = dump_of(engine)
        for _ in range(2):
            target.restore([dumped.source()], RestoreRequest(guard=RecordingGuard(), drop_existing=True))
        assert self.same(engine, target)

    def test_a_source_that_fails_at_its_end_restores_nothing(self, engine: Engine, target: Engine) -> None:
        dumped = dump_of(engine)
        corrupt = BackupError("digests differ", code="artefact_corrupt")
        with pytest.raises(BackupError) as raised:
            target.restore([dumped.source(fault=corrupt)], RestoreRequest(guard=RecordingGuard()))
        assert raised.value is corrupt
        assert not self.same(engine, target)

    def test_leaving_a_dump_early_leaves_no_process_and_no_thread(self, engine: Engine) -> None:
        threads = set(threading.enumerate())
        with engine.dump(DumpRequest(guard=RecordingGuard())) as dump:
            dump.readinto(bytearray(1024))
        assert _children() == []
        assert set(threading.enumerate()) <= threads

    def test_a_job_that_must_stop_stops_its_dump(self, engine: Engine) -> None:
        guard = RecordingGuard()
        with pytest.raises(Stopped), engine.dump(DumpRequest(guard=guard)) as dump:
            dump.readinto(bytearray(1024))
            guard.stop_with(Stopped())
            while dump.readinto(bytearray(1 << 20)):
                pass
        assert _children() == []
        assert guard.callbacks == []

    def test_no_secret_is_in_any_command_line(self, engine: Engine, target: Engine) -> None:
        with _Watching() as seen:
            dumped = dump_of(engine)
            target.restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
        assert seen.commands or engine.tools(engine.settings) is None, "the sampler saw no child"
        assert not [command for command in seen.commands if CANARY in command]
        assert not [environment for environment in seen.environments if CANARY in environment]


class _Watching(threading.Thread):
    """Samples command lines and environments of every child while it is entered."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.commands: set[str] = set()
        self.environments: set[str] = set()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            for child in psutil.Process().children(recursive=True):
                try:
                    self.commands.add(" ".join(child.cmdline()))
                    self.environments.add(str(child.environ()))
                except psutil.Error:
                    continue
            time.sleep(0.002)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def _children() -> list[str]:
    """Tools of ours that still run (the shared test servers belong to no test)."""
    own = os.getpid()
    return [
        child.name()
        for child in psutil.Process(own).children()
        if child.name().startswith(("pg_", "psql", "mongo", "setpriv"))
    ]
