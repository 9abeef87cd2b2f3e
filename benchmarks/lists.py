"""List pages over 10,000 backups: how long they take over HTTP, and how many queries they make."""

import json
import subprocess
import sys
import time
import urllib.request
from typing import Any

from benchmarks.figures import Page
from benchmarks.inside import path_of
from benchmarks.world import World
from demo.site import REPOSITORY

FEW, MANY = 60, 10_000
REPEATS = 20


def measure(world: World) -> dict[str, Page]:
    """Adds finished backups to the site's own tables, through its own models, and asks the running site for pages."""
    few, many = _fill(world, FEW), _fill(world, MANY)
    pages = {}
    for name, path in path_of(MANY).items():
        seconds = [_fetch(world, path, many["cookie"]) for _ in range(REPEATS + 1)][1:]
        pages[name] = Page(seconds, many["queries"][name], few["queries"][name])
    return pages


def _fill(world: World, count: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.inside", str(count)],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "BACKUPSITE_DATA_DIR": str(world.site.data)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"benchmarks.inside: {done.stderr.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _fetch(world: World, path: str, cookie: str) -> float:
    request = urllib.request.Request(world.site.url + path, headers={"Cookie": cookie})
    started = time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as response:
        body = response.read()
    seconds = time.monotonic() - started
    if b"bkp_" not in body:
        raise RuntimeError(f"{path} shows no backups")
    return seconds
