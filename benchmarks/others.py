"""The other contestants: the stock tools in a shell pipe, and django-dbbackup in a project of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.world import SOURCE, TARGET, World

DJANGO_SETTINGS = """
SECRET_KEY = "only for the benchmark"
INSTALLED_APPS = ["dbbackup"]
USE_TZ = True
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", **{connection!r}}}}}
STORAGES = {{
    "default": {{"BACKEND": "django.core.files.storage.FileSystemStorage"}},
    "staticfiles": {{"BACKEND": "django.core.files.storage.FileSystemStorage"}},
    "dbbackup": {{"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {{"location": {out!r}}}}},
}}
DBBACKUP_TMP_DIR = {out!r}
"""


@dataclass(frozen=True)
class Run:
    """`watch` is called with the process id as soon as it is known (memory), and returns nothing of interest."""

    seconds: float
    size: int


Watch = Callable[[int], object]


def floor_zstd(world: World, watch: Watch = lambda pid: None) -> Run:
    return _shell(world, f"pg_dump -Fc -Z0 {SOURCE} | zstd -q -T2 -3 > {world.out}/floor.zst", watch)


def floor_gzip(world: World, watch: Watch = lambda pid: None) -> Run:
    return _shell(world, f"pg_dump -Fc -Z6 {SOURCE} > {world.out}/floor.dump", watch)


def floor_restore(world: World, artefact: str, watch: Watch = lambda pid: None) -> Run:
    """The counterpart of our restore: the same artefact into a fresh database."""
    return _shell(world, f"zstd -q -dc '{artefact}' | pg_restore --exit-on-error -d {TARGET}", watch)


def dbbackup(world: World, watch: Watch = lambda pid: None) -> Run:
    """Its default for PostgreSQL: pg_dump's custom format, gzip inside."""
    settings = world.folder / "dbbackup_settings.py"
    if not settings.exists():
        fields = world.shop.registration(SOURCE)
        connection = {
            "NAME": SOURCE,
            "USER": fields["username"],
            "PASSWORD": fields["password"],
            "HOST": fields["host"],
            "PORT": fields["port"],
        }
        settings.touch(mode=0o600)
        settings.write_text(DJANGO_SETTINGS.format(connection=connection, out=str(world.out)))
    command = f"'{sys.executable}' -m django dbbackup --noinput -v 0"
    environment = {"PYTHONPATH": str(world.folder), "DJANGO_SETTINGS_MODULE": "dbbackup_settings"}
    return _shell(world, command, watch, environment)


def _shell(world: World, script: str, watch: Watch, environment: dict[str, str] | None = None) -> Run:
    """Runs it with the folder for results emptied before; `size` is what it left there."""
    for leftover in world.out.iterdir():
        leftover.unlink()
    started = time.monotonic()
    with subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", script],
        env={**world.shop.environment(), "HOME": str(world.folder), **(environment or {})},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            watch(process.pid)
            error = process.communicate()[1]
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # asked to stop: the tools must not go on to their end
            raise
    seconds = time.monotonic() - started
    if process.returncode:
        raise RuntimeError(f"{script}: {error.decode(errors='replace').strip()[-1000:]}")
    return Run(seconds, sum(path.stat().st_size for path in world.out.iterdir()))
