"""A process of its own with a site of its own: copies are killed in it by SIGKILL, phase by phase, and resolved.

Run by test_copy_kills.py; says what it found as JSON. The site's database is a file, so that a forked child that dies
leaves behind what a dead worker does.
"""

import hashlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backupsite.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from backups import destinations  # noqa: E402
from backups.destinations import open_storage  # noqa: E402
from backups.models import Backup, Copy, CopyJob, Destination  # noqa: E402
from backups.services import copy, copy_objects  # noqa: E402
from backups.services.change_copy import delete_copy  # noqa: E402
from backups.services.prune import remove_deleting  # noqa: E402
from backups.services.request_copy import request_copy  # noqa: E402
from backups.services.save_destination import save_destination  # noqa: E402
from backups.services.settle import settle_lost  # noqa: E402
from databases.models import Database  # noqa: E402
from jobs.services import run  # noqa: E402
from jobs.services.sweep import end_lost, promote  # noqa: E402
from tests.live import busy  # noqa: E402

MIB = 1 << 20
SIZE = 20 * MIB  # two parts of a multipart upload
LARGE = 160 * MIB


def die(*args: Any, **values: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(count: int, method: Callable[..., int]) -> Callable[..., int]:
    """At the call after so many bytes have passed."""
    passed = 0

    def called(self: Any, buffer: memoryview) -> int:
        nonlocal passed
        if passed >= count:
            die()
        passed += (got := method(self, buffer))
        return got

    return called


def put(owner: Any, name: str, value: Any) -> None:
    """For the rest of this process."""
    setattr(owner, name, value)


def kill_in(phase: str) -> None:
    if phase == "read":
        put(copy_objects._Source, "readinto", die_after(8 * MIB, copy_objects._Source.readinto))
    elif phase == "write":
        put(copy_objects._Compared, "readinto", die_after(18 * MIB, copy_objects._Compared.readinto))
    elif phase == "read_back":
        put(copy, "read_back", die)
    elif phase == "finish":
        put(copy, "sidecar_of", die)
    elif phase == "complete":
        put(run, "complete", die)


def in_a_child(job: CopyJob, phase: str = "") -> tuple[int, int]:
    """Runs the job there; the child's status, and the most memory it held in bytes."""
    connection.close()
    pid = os.fork()
    if pid == 0:
        destinations._s3.cache_clear()  # the parent's connections are the parent's
        kill_in(phase)
        run.run_job(kind_name="copy", job_id=job.pk)
        os._exit(0)
    _, status, usage = os.wait4(pid, 0)
    return status, usage.ru_maxrss * 1024


def digest(destination: Destination, key: str) -> str:
    found, block = hashlib.sha256(), bytearray(MIB)
    with open_storage(destination).open_stream(key) as stream:
        while count := stream.readinto(block):
            found.update(memoryview(block)[:count])
    return found.hexdigest()


def objects(destination: Destination) -> list[str]:
    storage = open_storage(destination)
    return [one.key for one in storage.list()] + [f"{one.key} unfinished" for one in storage.list_unfinished()]


def stored_backup(source: Destination, size: int) -> Backup:
    """Its artefact lies at the source, made of bytes that do not compress."""
    block = os.urandom(MIB)
    backup = Backup.objects.create(
        database_id="shop", database_name="shop", engine="postgres", status="completed", attempt=1, size=size
    )
    key = f"shop/2026/07/shop_2026-07-26_02-00-00_{backup.pk}-1.dump"
    path = Path(source.path) / key
    path.parent.mkdir(parents=True, exist_ok=True)
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("wb") as file:
        for number in range(size // MIB):
            piece = number.to_bytes(8, "big") + block[8:]
            file.write(piece)
            sha256.update(piece)
            md5.update(piece)
    facts = {"sha256": sha256.hexdigest(), "md5": md5.hexdigest(), "original_size": size, "finished_at": timezone.now()}
    Backup.objects.filter(pk=backup.pk).update(**facts)
    Copy.objects.create(backup=backup, destination=source, attempt=1, key=key, state=Copy.State.STORED)
    backup.refresh_from_db()
    return backup


def murder(backup: Backup, source: Destination, target: Destination, phase: str) -> dict[str, Any]:
    job = request_copy(backup=backup, destination=target, trigger=CopyJob.Trigger.PLACEMENT)
    status, _ = in_a_child(job, phase)
    found: dict[str, Any] = {"signal": os.WTERMSIG(status), "left": len(objects(target))}
    found["key"] = Copy.objects.get(destination=target).key
    CopyJob.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    end_lost()
    settle_lost()
    deadline = time.monotonic() + 60 * busy()
    while Copy.objects.filter(state=Copy.State.DELETING).exists() and time.monotonic() < deadline:
        remove_deleting()  # a store may still be busy with what the dead one sent
    job.refresh_from_db()
    found |= {"status": job.status, "code": job.error_code, "stray": objects(target)}
    found["rows"] = list(backup.copies.values_list("destination", "state"))
    CopyJob.objects.filter(pk=job.pk).update(scheduled_at=timezone.now() - timedelta(seconds=1))
    promote()
    in_a_child(job)
    job.refresh_from_db()
    made = Copy.objects.get(destination=target)
    found |= {"then": job.status, "same": digest(target, made.key) == backup.sha256, "again": made.key}
    found["source_same"] = digest(source, Copy.objects.get(destination=source).key) == backup.sha256
    delete_copy(copy=made)
    return found


def memory(source: Destination, target: Destination) -> dict[str, Any]:
    backup = stored_backup(source, LARGE)
    status, held = in_a_child(request_copy(backup=backup, destination=target))
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    done = Copy.objects.filter(backup=backup, destination=target, state=Copy.State.STORED).exists()
    return {"status": status, "stored": done, "more": held - base, "size": LARGE}


def main() -> None:
    asked = json.load(sys.stdin)
    call_command("migrate", verbosity=0)
    Database.objects.create(pk="shop", name="shop", engine="postgres")
    source, *targets = (
        save_destination(destination=Destination(), values=values, create=True) for values in asked["destinations"]
    )
    backup = stored_backup(source, SIZE)
    found = {
        f"{place} {phase}": murder(backup, source, Destination.objects.get(pk=place), phase)
        for place, phase in asked["kills"]
    }
    json.dump({"kills": found, "memory": memory(source, targets[0])}, sys.stdout)


if __name__ == "__main__":
    main()
