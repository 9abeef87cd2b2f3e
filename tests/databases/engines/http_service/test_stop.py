"""A job that must stop ends its dump or its restore at once, whatever the service does."""

import socket
import threading
import time
from collections.abc import Callable

import pytest

from databases.engines.base import DumpRequest, RestoreRequest
from databases.engines.http_service import wire
from jobs.errors import BackupError
from tests.contracts.engine_suite import Stopped
from tests.contracts.engines import BytesSource, RecordingGuard
from tests.databases.engines.http_service.services import dumped, engine_for
from tests.servers import scripts
from tests.servers.records import Handler, RecordsServer, sample


def stopped_after(guard: RecordingGuard, run: Callable[[], object], *, wait_s: float = 0.3) -> float:
    """How long `run` goes on after the stop, in seconds."""
    at: list[float] = []

    def stop() -> None:
        at.append(time.monotonic())
        guard.stop_with(Stopped())

    timer = threading.Timer(wait_s, stop)
    timer.start()
    with pytest.raises(Stopped):
        run()
    timer.join()
    return time.monotonic() - at[0]


@pytest.mark.parametrize(
    ("script", "type"),
    [
        (scripts.hang, "no answer"),
        (scripts.hang_after(b"[1, 2"), "a body that stops"),
        (scripts.status(503, body={}, headers={"Retry-After": "60"}), "a pause"),
        (scripts.slow([b"["] + [b"1,"] * 100, 0.1), "a slow body"),
    ],
)
def test_a_dump_ends_within_a_second(records_service: RecordsServer, script: scripts.Script, type: str) -> None:
    records_service.script.append(script)
    guard = RecordingGuard()
    assert stopped_after(guard, lambda: dumped(records_service, "list", DumpRequest(guard=guard))) < 1
    assert guard.callbacks == []
    assert len(records_service.asked) == 1


def test_aborting_wakes_a_reader_in_another_thread(records_service: RecordsServer) -> None:
    records_service.script.append(scripts.hang_after(b"[1, 2, 3"))
    failures: list[BaseException] = []
    with engine_for(records_service).dump(DumpRequest(guard=RecordingGuard())) as dump:

        def read() -> None:
            try:
                while dump.readinto(bytearray(100)):
                    pass
            except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at below
                failures.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(0.2)
        dump.abort()
        reader.join(2)
        assert not reader.is_alive()
        assert getattr(failures[0], "code", "") == "stopped"


def test_a_dump_that_failed_fails_again_and_never_reports_an_end(records_service: RecordsServer) -> None:
    records_service.script.append(scripts.body(b'[{"id": 1}, {"id": 2}, <html>'))
    with engine_for(records_service).dump(DumpRequest(guard=RecordingGuard())) as dump:
        failures = []
        for _ in range(3):
            with pytest.raises(BackupError) as raised:
                dump.readinto(bytearray(100))
            failures.append(raised.value)
    assert failures[0].code == "not_json"
    assert failures[1] is failures[0] and failures[2] is failures[0]


def test_a_dump_that_was_left_reports_no_end(records_service: RecordsServer) -> None:
    sample(records_service, 50)
    with engine_for(records_service).dump(DumpRequest(guard=RecordingGuard())) as dump:
        dump.readinto(bytearray(10))
    with pytest.raises(BackupError) as raised:
        while dump.readinto(bytearray(1000)):
            pass
    assert raised.value.code == "stopped"


def test_a_body_without_a_length_is_not_taken_for_whole_when_stopped(records_service: RecordsServer) -> None:
    def answer(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(b"[1, 2]")
        return scripts.hang(handler)

    records_service.script.append(answer)
    guard = RecordingGuard()
    assert stopped_after(guard, lambda: dumped(records_service, "list", DumpRequest(guard=guard))) < 1


def test_a_restore_ends_within_a_second(records_service: RecordsServer) -> None:
    sample(records_service, 50)
    found = dumped(records_service)
    records_service.script.append(scripts.hang)
    guard = RecordingGuard()
    request = RestoreRequest(guard=guard, drop_existing=True)
    engine = engine_for(records_service)
    assert stopped_after(guard, lambda: engine.restore([BytesSource(found.data, found.manifest)], request)) < 1
    assert guard.callbacks == []


def test_a_host_that_does_not_answer_at_all_is_left_when_stopped(records_service: RecordsServer) -> None:
    """A full backlog: the kernel neither accepts nor refuses."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        guard = RecordingGuard()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        run = lambda: dumped(records_service, "list", DumpRequest(guard=guard), url=url, restore_url="")  # noqa: E731
        assert stopped_after(guard, run) < 1


def test_a_handshake_that_hangs_is_left_when_stopped(records_service: RecordsServer) -> None:
    """Somebody takes the connection and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        guard = RecordingGuard()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/x"
        run = lambda: dumped(records_service, "list", DumpRequest(guard=guard), url=url, restore_url="")  # noqa: E731
        assert stopped_after(guard, run) < 1
    assert wire.CONNECT_S > 1
