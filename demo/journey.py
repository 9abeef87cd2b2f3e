"""The journey: register, check, back up, verify, restore, compare, and open the artefact with stock tools."""

import time
from typing import Any

from demo.client import Client
from demo.compare import Comparison, compare
from demo.opening import open_archive
from demo.screen import MB, Running, Screen
from demo.shop import Shop
from demo.site import Site

POLL_S = 0.15
LONGEST_JOB_S = 600
ENDED = ("completed", "failed", "cancelled", "expired")
SOURCE, TARGET = "shop", "shop_restored"
SOURCE_ID, TARGET_ID = "shop", "shop-restored"


class DemoFailed(RuntimeError):
    """The demo found what must not be; the message says what."""


def travel(screen: Screen, site: Site, shop: Shop) -> None:
    """Raises DemoFailed at the first step that does not end as it must."""
    client = site.login()
    _register(screen, client, shop)
    backup = _back_up(screen, client)
    _verify(screen, client, backup)
    _open_without_us(screen, site, shop, backup)
    _restore(screen, client, backup)
    compare_both(screen, shop)


def _register(screen: Screen, client: Client, shop: Shop) -> None:
    with screen.step("Register and check, over the API") as running:
        for identifier, database in ((SOURCE_ID, SOURCE), (TARGET_ID, TARGET)):
            policy = {"schedule": None, "encryption": "age"}
            client.post("/api/databases", {"id": identifier, "name": database, **shop.registration(database), **policy})
            report = client.post(f"/api/databases/{identifier}/check")
            if not report["ok"]:
                raise DemoFailed(f"The check of {identifier} says: {report['error']} {report['hint']}")
        running.step.note = f"server {report['server_version']}, client {report['tool_version']}"


def _back_up(screen: Screen, client: Client) -> dict[str, Any]:
    with screen.step("Back up: dump, zstd, age, store") as running:
        asked = client.post("/api/backups", {"database_id": SOURCE_ID, "label": "demo"})
        backup = _follow(client, f"/api/backups/{asked['id']}", running)
        size, original = int(backup["size"]), int(backup["original_size"])
        running.step.moved = original
        running.step.note = f"{original / MB:.1f} MB became {size / MB:.1f} MB (1 : {original / size:.1f}), read back"
    return backup


def _verify(screen: Screen, client: Client, backup: dict[str, Any]) -> None:
    with screen.step("Verify: sizes, digests, structure") as running:
        asked = client.post(f"/api/backups/{backup['id']}/verify")
        _follow(client, f"/api/verifications/{asked['id']}", running)
        running.step.moved = int(backup["original_size"])
        running.step.note = f"SHA-256 {backup['sha256'][:16]}…"


def _open_without_us(screen: Screen, site: Site, shop: Shop, backup: dict[str, Any]) -> None:
    with screen.step("Open the artefact without Backupsite") as running:
        artefact = site.data / "backups" / backup["path"]
        opened = open_archive(artefact, identity=site.data / "keys" / "age_identity", bin_dir=shop.server.bin_dir)
        running.step.moved = int(backup["original_size"])
        running.step.note = f"{opened.how}: {opened.objects} objects"


def _restore(screen: Screen, client: Client, backup: dict[str, Any]) -> None:
    with screen.step("Restore into an empty database") as running:
        body = {"target_database_id": TARGET_ID, "drop_existing": False, "confirm": TARGET_ID}
        asked = client.post(f"/api/backups/{backup['id']}/restore", body)
        _follow(client, f"/api/restores/{asked['id']}", running)
        running.step.moved = int(backup["original_size"])
        running.step.note = f"into {TARGET}"


def compare_both(screen: Screen, shop: Shop) -> Comparison:
    with screen.step("Compare both databases") as running:
        result = compare(shop, SOURCE, TARGET)
        if result.differences:
            raise DemoFailed("The databases differ:\n  " + "\n  ".join(result.differences))
        running.step.note = (
            f"equal: {result.schema_lines} lines of schema, {result.tables} tables, {result.rows:,} rows, "
            f"{result.large_objects} large objects"
        )
    return result


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
