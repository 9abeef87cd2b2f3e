"""The memory sampler sees what a child of a child takes, and only while it lives."""

import subprocess
import sys

from benchmarks.memory import Sampler, tree_pss

GRANDCHILD = "held = bytearray(b'x') * 80_000_000; print('held', flush=True); input()"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {GRANDCHILD!r}])"


def test_it_adds_up_the_whole_tree() -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        with Sampler(child.pid) as sampler:
            child.stdout.readline()
            held = tree_pss(child.pid)
            while sampler.peak < held * 0.9:
                assert child.poll() is None
        child.communicate(b"\n")
    assert 80_000_000 < held < 200_000_000
    assert tree_pss(child.pid) == 0
