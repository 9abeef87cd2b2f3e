"""A tool's end is the truth: no status, signal or silence passes for a whole dump."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from databases.engines.feed import feed
from databases.engines.process import Known, Tool, start
from jobs.errors import BackupError
from tests.contracts.engines import BytesSource, RecordingGuard
from tests.live import busy


def _tool(script: str, **kwargs: object) -> Tool:
    return Tool(argv=[sys.executable, "-c", script], env={}, **kwargs)  # type: ignore[arg-type]


def _read_all(tool: Tool, guard: RecordingGuard | None = None, block: int = 4096) -> bytes:
    data = bytearray()
    with start(tool, guard=guard or RecordingGuard(), stdout=subprocess.PIPE) as process:
        buffer = bytearray(block)
        while count := process.readinto(buffer):
            data += buffer[:count]
    return bytes(data)


def test_a_whole_output_is_read_to_its_end() -> None:
    script = "import sys, time\nfor i in range(50): sys.stdout.buffer.write(b'x' * 997); sys.stdout.flush()"
    assert _read_all(_tool(script)) == b"x" * 997 * 50


def test_a_megabyte_and_status_1_is_a_failure() -> None:
    with pytest.raises(BackupError, match="status 1: disk on fire"):
        _read_all(_tool("import sys; sys.stdout.write('x' * (1 << 20)); sys.exit('disk on fire')"))


def test_an_end_at_a_buffers_edge_is_verified_too() -> None:
    with pytest.raises(BackupError, match="status 3"):
        _read_all(_tool("import sys; sys.stdout.write('x' * 4096); sys.exit(3)"), block=4096)


def test_death_by_signal_is_a_failure() -> None:
    with pytest.raises(BackupError, match="SIGKILL"):
        _read_all(_tool("import os; os.write(1, b'x' * 5000); os.kill(os.getpid(), 9)"))


def test_a_flood_of_words_blocks_nothing_and_the_last_are_kept() -> None:
    script = "import sys; sys.stderr.write('noise ' * 200000 + 'the reason'); sys.exit(2)"
    with pytest.raises(BackupError, match=r"the reason$") as raised:
        _read_all(_tool(script))
    assert len(raised.value.message) < 3000


def test_secrets_in_a_tools_words_are_blanked() -> None:
    with pytest.raises(BackupError) as raised:
        _read_all(_tool("import sys; sys.exit('cannot log in with hunter2')", secrets=("hunter2", "")))
    assert "hunter2" not in str(raised.value)
    assert "********" in str(raised.value)


def test_known_words_become_a_code_and_a_hint() -> None:
    known = (Known(("on fire",), "fire", True, "Call the fire brigade."),)
    with pytest.raises(BackupError) as raised:
        _read_all(_tool("import sys; sys.exit('disk ON FIRE')", known=known))
    assert (raised.value.code, raised.value.permanent, raised.value.hint) == ("fire", True, "Call the fire brigade.")


def test_a_child_sees_only_the_environment_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUPSITE_SECRET_KEY", "canary")
    assert b"canary" not in _read_all(_tool("import os; print(dict(os.environ))"))


def test_leaving_ends_a_child_that_ignores_term_and_its_own_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databases.engines.process.GRACE_S", 0.3)
    script = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "os.write(1, str(child.pid).encode().ljust(10)); time.sleep(60)"
    )
    with start(_tool(script), guard=RecordingGuard(), stdout=subprocess.PIPE) as process:
        buffer = bytearray(10)
        process.readinto(buffer)
    status = Path(f"/proc/{int(buffer)}/status")
    deadline = time.monotonic() + 20 * busy()
    while status.exists() and "Z (zombie)" not in status.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not status.exists() or "Z (zombie)" in status.read_text()


def test_an_abort_from_another_thread_ends_a_silent_child() -> None:
    guard = RecordingGuard()
    reason = BackupError("stop", code="cancelled")
    timer = threading.Timer(0.2, guard.stop_with, [reason])
    timer.start()
    with pytest.raises(BackupError) as raised:
        _read_all(_tool("import time; time.sleep(60)"), guard)
    timer.join()
    assert raised.value is reason


def test_a_killed_worker_takes_its_idle_child_along() -> None:
    script = (
        "import time\n"
        "from databases.engines.process import Tool, start\n"
        "from tests.contracts.engines import RecordingGuard\n"
        "with start(Tool(argv=['/bin/sleep', '77'], env={}), guard=RecordingGuard()): time.sleep(60)"
    )
    children: list[psutil.Process] = []
    with subprocess.Popen([sys.executable, "-c", script]) as worker:
        deadline = time.monotonic() + 20 * busy()
        while not children and time.monotonic() < deadline:
            time.sleep(0.05)
            children = [child for child in psutil.Process(worker.pid).children() if child.name() == "sleep"]
        worker.kill()
    assert children
    _, alive = psutil.wait_procs(children, timeout=5 * busy())
    for process in alive:
        process.kill()
    assert alive == []


def _feed(script: str, source: BytesSource, guard: RecordingGuard | None = None) -> bool:
    guard = guard or RecordingGuard()
    with start(_tool(script), guard=guard, stdin=subprocess.PIPE) as process:
        taken = feed(source, process, guard)
        process.finish()
    return taken


def test_everything_is_fed_and_the_guard_is_asked_before_each_block(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20000
    guard = RecordingGuard()
    out = tmp_path / "out"
    assert _feed(f"import sys; open({str(out)!r}, 'wb').write(sys.stdin.buffer.read())", BytesSource(data, {}), guard)
    assert out.read_bytes() == data
    assert guard.checks >= len(data) // (1 << 20)


def test_a_tool_that_exits_early_is_reported_in_its_own_words() -> None:
    source = BytesSource(b"x" * (8 << 20), {})
    with pytest.raises(BackupError, match="relation exists"):
        _feed("import sys; sys.stdin.buffer.read(10); sys.exit('relation exists')", source)


@pytest.mark.parametrize("size", [0, 100, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_the_last_bytes_of_a_damaged_source_are_never_written(size: int, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = f"import sys\nwith open({str(out)!r}, 'wb') as f: f.write(sys.stdin.buffer.read()); f.write(b'END')"
    fault = BackupError("cut", code="artefact_truncated")
    with pytest.raises(BackupError) as raised:
        _feed(script, BytesSource(b"x" * size, {}, fault))
    assert raised.value is fault
    assert not out.exists() or b"END" not in out.read_bytes()


def test_every_line_is_told_also_when_more_is_said_than_is_kept() -> None:
    lines: list[str] = []
    script = "import sys\nfor n in range(20000): sys.stderr.write(f'line {n} ü\\n')"
    _read_all(_tool(script, line=lines.append))
    assert lines == [f"line {n} ü" for n in range(20000)]
