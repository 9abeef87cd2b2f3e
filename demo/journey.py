"""The journey of a sample: register, check, back up, verify, open without the site, restore, compare."""

import time
from pathlib import Path
from typing import Any

from demo.client import Client
from demo.sample import Sample
from demo.screen import Row, Running, Screen, in_words
from demo.site import Site

POLL_S = 0.1
LONGEST_JOB_S = 600
ENDED = ("completed", "failed", "cancelled", "expired")


class DemoFailed(RuntimeError):
    """The demo found what must not be; the message says what."""


def travel(screen: Screen, site: Site, sample: Sample) -> list[Row]:
    """A row for each backup. Raises DemoFailed at the first step that does not end as it must."""
    client = site.login()
    screen.heading(sample.title)
    _register(screen, client, sample)
    backups = [_back_up(screen, client, sample, "full")]
    if sample.incremental:
        backups.append(_back_up(screen, client, sample, "incremental", changed=sample.change()))
    _verify(screen, client, backups)
    _open_without_us(screen, site, sample, backups)
    restored = _restore(screen, client, sample, backups[-1])
    compare_both(screen, sample)
    names = [f"{sample.title.partition(':')[0]}, {backup['type']}" for backup in backups]
    times: list[float | None] = [*(None for _ in backups[1:]), restored]
    return [
        Row(name, int(backup["original_size"]), int(backup["size"]), backup["seconds"], seconds)
        for name, backup, seconds in zip(names, backups, times, strict=True)
    ]


def _register(screen: Screen, client: Client, sample: Sample) -> None:
    with screen.step("Register and check") as running:
        for identifier in (sample.target, sample.source):
            policy = {"schedule": None, "encryption": "age"}
            fields = {"id": identifier, "name": identifier, **sample.registration(identifier), **policy}
            client.post("/api/databases", fields)
            report = client.post(f"/api/databases/{identifier}/check")
            if not report["ok"]:
                raise DemoFailed(f"The check of {identifier} says: {report['error']} {report['hint']}")
        words = [f"server {report['server_version']}"] if report["server_version"] else []
        words += [f"client {report['tool_version']}"] if report["tool_version"] else []
        running.step.note = ", ".join([*words, *report["warnings"]])


def _back_up(screen: Screen, client: Client, sample: Sample, kind: str, *, changed: str = "") -> dict[str, Any]:
    with screen.step("Back up" if kind == "full" else f"Back up, {kind}") as running:
        asked = client.post("/api/backups", {"database_id": sample.source, "type": kind, "label": "demo"})
        backup = _follow(client, f"/api/backups/{asked['id']}", running)
        if backup["type"] != kind:
            raise DemoFailed(f"{backup['id']} was to be {kind} and is {backup['type']}")
        size, original = int(backup["size"]), int(backup["original_size"])
        sizes = f"{in_words(original)} became {in_words(size)}, read back"
        running.step.note = f"{changed}: {sizes}" if changed else sizes
    return {**backup, "seconds": running.step.seconds}


def _verify(screen: Screen, client: Client, backups: list[dict[str, Any]]) -> None:
    with screen.step("Verify") as running:
        for backup in backups:
            asked = client.post(f"/api/backups/{backup['id']}/verify")
            _follow(client, f"/api/verifications/{asked['id']}", running)
        digests = " and ".join(f"{backup['sha256'][:12]}…" for backup in backups)
        running.step.note = f"SHA-256 {digests}, and the structure"


def _open_without_us(screen: Screen, site: Site, sample: Sample, backups: list[dict[str, Any]]) -> None:
    with screen.step("Open it without us") as running:
        artefacts: list[Path] = [site.data / "backups" / backup["path"] for backup in backups]
        running.step.note = sample.open(artefacts, site.data / "keys" / "age_identity")


def _restore(screen: Screen, client: Client, sample: Sample, backup: dict[str, Any]) -> float:
    with screen.step("Restore") as running:
        body = {"target_database_id": sample.target, "drop_existing": False, "confirm": sample.target}
        asked = client.post(f"/api/backups/{backup['id']}/restore", body)
        _follow(client, f"/api/restores/{asked['id']}", running)
        running.step.note = f"into {sample.target}, which was empty"
    return running.step.seconds


def compare_both(screen: Screen, sample: Sample) -> None:
    with screen.step("Compare") as running:
        result = sample.compare()
        if result.differences:
            raise DemoFailed(f"{sample.source} came back different:\n  " + "\n  ".join(result.differences))
        running.step.note = f"equal: {result.found}"


def _follow(client: Client, path: str, running: Running) -> dict[str, Any]:
    """Polls the job until it has ended, moving the bar. Raises DemoFailed unless it is completed."""
    deadline = time.monotonic() + LONGEST_JOB_S
    while True:
        job: dict[str, Any] = client.get(path)
        progress = job.get("progress") or {}
        running.show(
            phase=progress.get("phase") or job["status"],
            done=progress.get("bytes_done") or 0,
            total=progress.get("bytes_total_estimate"),
            rate=progress.get("bytes_per_s") or 0,
        )
        if job["status"] == "completed":
            return job
        error = job.get("error") or {}
        if job["status"] in ENDED or error:
            raise DemoFailed(f"{path} {job['status']}: {error.get('message', '')} {error.get('hint') or ''}".rstrip())
        if time.monotonic() > deadline:
            raise DemoFailed(f"{path} is still {job['status']} after {LONGEST_JOB_S} s")
        time.sleep(POLL_S)
