"""A program of the operator's own: its words become few short lines, and it ends as a whole."""

import os
import resource
import sys
import threading
import time
from pathlib import Path

import pytest

from databases.engines import command, process
from databases.engines.command import HEAD_LINES, SHOWN, TAIL_LINES, Lines, Outcome, run_command
from databases.engines.process import Tool
from jobs.errors import BackupError
from tests.contracts.engines import RecordingGuard
from tests.live import busy

FLOOD = 1 << 30


def _run(
    script: str, *, timeout_s: float = 20, guard: RecordingGuard | None = None, secrets: tuple[str, ...] = ()
) -> tuple[Outcome, list[str]]:
    guard = guard or RecordingGuard()
    tool = Tool(argv=["/bin/sh", "-c", script], env={"PATH": "/usr/bin:/bin"}, secrets=secrets)
    return run_command(tool, guard=guard, say=guard.log, timeout_s=timeout_s), guard.lines


def _gone(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    deadline = time.monotonic() + 20 * busy()
    while status.exists() and "Z (zombie)" not in status.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not status.exists() or "Z (zombie)" in status.read_text()


def test_both_streams_come_as_lines_in_their_order() -> None:
    ended, lines = _run("echo one; echo two >&2; printf 'three\\nfour'; exit 5")
    assert lines == ["one", "two", "three", "four"]
    assert ended == Outcome(5, "four")


def test_a_line_is_told_while_the_program_still_runs() -> None:
    guard = RecordingGuard()
    seen: list[float] = []
    began = time.monotonic()
    tool = Tool(argv=["/bin/sh", "-c", "echo now; exec sleep 3"], env={"PATH": "/usr/bin:/bin"})
    run_command(tool, guard=guard, say=lambda line: seen.append(time.monotonic() - began), timeout_s=9)
    assert len(seen) == 1
    assert seen[0] < 2.5


def test_a_death_by_signal_is_told() -> None:
    assert _run("kill -9 $$")[0].status == -9


def test_a_gigabyte_of_output_keeps_its_beginning_and_end_and_fills_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended, lines = _run(f"seq 1000; head -c {FLOOD} /dev/zero; echo; echo the reason; exit 1", timeout_s=60)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert ended == Outcome(1, "the reason")
    assert lines[:HEAD_LINES] == [str(number) for number in range(1, HEAD_LINES + 1)]
    assert "bytes of output are left out here" in lines[HEAD_LINES]
    assert len(lines) <= HEAD_LINES + TAIL_LINES + 1
    assert grown < 64 << 20


def test_one_endless_line_is_short_and_fills_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, lines = _run(f"head -c {FLOOD // 8} /dev/zero | tr '\\0' x", timeout_s=60)
    assert [len(line) for line in lines] == [SHOWN + 1]
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < 64 << 20


def test_a_progress_bar_is_its_last_state_and_signs_of_a_terminal_are_left_out() -> None:
    assert _run("printf '10%%\\r50%%\\r100%%\\r\\n\\033[31mred\\033[0m\\0end\\n'")[1] == ["100%", "[31mred[0mend"]


@pytest.mark.parametrize("width", [0, 990, command.WIDEST - 9, command.WIDEST])
def test_no_secret_is_told_wherever_it_stands(width: int) -> None:
    secret = "hunter2-hunter2"
    told: list[str] = []
    lines = Lines(told.append, [secret, "-----BEGIN\nkeybytes\n", "x", ""])
    for piece in (b"." * width, secret.encode()[:5], secret.encode()[5:], b"\nkeybytes\n"):
        lines.feed(piece)
    lines.feed(b"line\n" * 300 + b"." * (9 << 10) + secret.encode() + b"\n" + secret.encode() * 1000)
    lines.finish()
    assert "hunter" not in "".join(told)
    assert "keybytes" not in "".join(told)


def test_a_secret_that_the_end_of_what_is_looked_at_cuts_is_not_told() -> None:
    told: list[str] = []
    lines = Lines(told.append, ["hunter2" * 3000])
    lines.feed(b"hunter2" * 12000 + b"\n")
    assert "hunter2" not in "".join(told)


def test_a_secret_that_the_beginning_of_the_kept_end_cuts_is_not_told() -> None:
    told: list[str] = []
    lines = Lines(told.append, ["hunter2-hunter2"])
    lines.feed(b"line\n" * HEAD_LINES)
    lines.feed(b"hunter2-hunter2" + b"." * (command.TAIL_BYTES - 16) + b"\nthe end\n")
    lines.finish()
    assert told[-1] == "the end"
    assert "unter2" not in "".join(told)


def test_the_time_limit_ends_it_with_what_it_started_though_that_ignores_term(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.3)
    child = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    script = f'{sys.executable} -c "{child}" & echo $! > {tmp_path}/pid; wait'
    began = time.monotonic()
    ended, lines = _run(script, timeout_s=1)
    assert ended.status is None
    assert lines == ["up"]
    assert time.monotonic() - began < 5 * busy()
    assert _gone(int((tmp_path / "pid").read_text()))


def test_what_it_leaves_in_the_background_is_not_waited_for_and_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    ended, lines = _run(f"echo before; sleep 60 & echo $! > {tmp_path}/pid")
    assert (ended.status, lines) == (0, ["before"])
    assert time.monotonic() - began < 5 * busy()
    assert _gone(int((tmp_path / "pid").read_text()))


def test_a_program_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    ended, _ = _run(f"exec >&- 2>&-; sleep 0.3; touch {tmp_path}/done; exit 4")
    assert ended.status == 4
    assert (tmp_path / "done").exists()


def test_a_stop_from_another_thread_ends_it_and_keeps_its_words() -> None:
    guard = RecordingGuard()
    reason = BackupError("stop", code="cancelled")
    timer = threading.Timer(0.3, guard.stop_with, [reason])
    timer.start()
    with pytest.raises(BackupError) as raised:
        _run("echo begun; sleep 60", guard=guard)
    timer.join()
    assert raised.value is reason
    assert guard.lines == ["begun"]


def test_one_that_became_another_user_is_left_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As sudo does: it cannot be ended, and must not hold the run for ever."""

    def refused(group: int, number: int) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", refused)
        patch.setattr(process, "GRACE_S", 0.1)
        began = time.monotonic()
        assert _run("exec sleep 2", timeout_s=0.3)[0].status is None
        assert time.monotonic() - began < 1.5 * busy()
    time.sleep(max(0.0, began + 2.5 - time.monotonic()))
