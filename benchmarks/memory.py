"""Peak memory of a process tree: its proportional set size (PSS), sampled every 50 ms."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

SAMPLE_S = 0.05


def tree_pss(root: int) -> int:
    """Bytes, of the process and all that descend from it; 0 when it is gone."""
    try:
        tree = [root, *(child.pid for child in psutil.Process(root).children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0
    return sum(_pss(pid) for pid in tree)


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it ended meanwhile
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


class Sampler:
    """Watches a tree while the `with` block runs; `peak` is the largest sum seen."""

    def __init__(self, root: int | None = None) -> None:
        self.peak = 0
        self._root = root
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def watch(self, root: int) -> None:
        """For a process that starts inside the block."""
        self._root = root

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            if self._root is not None:
                self.peak = max(self.peak, tree_pss(self._root))
