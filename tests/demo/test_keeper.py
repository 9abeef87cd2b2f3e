"""What `KEEP=1` leaves running can be stopped, and nothing else is ever signalled in its place."""

import os
import subprocess
import sys
import time
from pathlib import Path

from demo.keeper import Keeper
from tests.live import busy

KEPT = """
import signal, sys
from pathlib import Path
from demo.keeper import Keeper

def work(stay):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print("working", flush=True)
    if sys.argv[2] == "fails":
        return 1
    try:
        stay()
    finally:
        Path(sys.argv[1], "stopped").touch()
    return 0

folder = Path(sys.argv[1])
sys.exit(Keeper(folder / "keeper").run(work, log=folder / "log"))
"""


def run(folder: Path, how: str) -> subprocess.CompletedProcess[str]:
    """Returns when nobody holds the output any more: a kept child must have let go of it."""
    return subprocess.run(
        [sys.executable, "-c", KEPT, str(folder), how], capture_output=True, text=True, timeout=20, check=False
    )


def test_it_returns_while_the_work_stays_and_stops_when_asked(tmp_path: Path) -> None:
    done, keeper = run(tmp_path, "stays"), Keeper(tmp_path / "keeper")
    assert (done.returncode, done.stdout, done.stderr) == (0, "working\n", "")
    assert keeper.pid() is not None
    assert keeper.stop()
    assert (tmp_path / "stopped").exists()
    assert keeper.pid() is None and not keeper.stop()


def test_work_that_fails_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    assert run(tmp_path, "fails").returncode == 1
    assert Keeper(tmp_path / "keeper").pid() is None


def test_a_pid_used_again_by_another_process_is_not_signalled(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "keeper")
    keeper.remember()
    assert keeper.pid() == os.getpid()
    pid, started = keeper.file.read_text().split()
    keeper.file.write_text(f"{pid} {int(started) - 1}\n")
    assert keeper.pid() is None and not keeper.stop()


def test_a_zombie_is_gone(tmp_path: Path) -> None:
    child, keeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE), Keeper(tmp_path / "k")
    started = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    keeper.file.write_text(f"{child.pid} {started}\n")
    assert keeper.pid() == child.pid
    child.kill()
    deadline = time.monotonic() + 20 * busy()
    while keeper.pid() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert keeper.pid() is None
    child.communicate()
