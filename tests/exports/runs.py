"""Exports that run in this process, and what stock tools find in them."""

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from exports.models import Export, ExportObject, Source
from exports.services.request import request_export
from exports.services.save_source import save_source
from tests.room import finish


def ask(pubkey: str, type: str = "full", **metadata: Any) -> Export:
    return request_export(pubkey=pubkey, type=type, metadata=metadata)


def export(pubkey: str, type: str = "full", **metadata: Any) -> Export:
    """Asks and runs; returns the row as it ended."""
    return finish(ask(pubkey, type, **metadata))


def made(pubkey: str, type: str = "full", **metadata: Any) -> Export:
    """The same, where it has to complete."""
    ended = export(pubkey, type, **metadata)
    assert ended.status == "completed", f"{ended.status}: {ended.error_message} {ended.error_hint}"
    return ended


def relays_source(*urls: str, **options: Any) -> Source:
    values = {"name": "Relays", "options": {"relays": list(urls), "timeout_s": 20, **options}}
    return save_source(source=Source(pk="nostr", kind="nostr"), values=values, create=True)


def stored_file(export: Export) -> Path:
    """At the local destination."""
    row = ExportObject.objects.get(export=export)
    return Path(row.destination.path) / row.key


def unpacked(export: Export, folder: Path, *, archive: Path | None = None) -> dict[str, Any]:
    """With stock unzip, every file compared with the index, which is returned."""
    file = archive or stored_file(export)
    subprocess.run(["unzip", "-tqq", str(file)], check=True)
    subprocess.run(["unzip", "-qq", "-d", str(folder), str(file)], check=True)
    index: dict[str, Any] = json.loads((folder / "index.json").read_text())
    for told in index["files"]:
        content = (folder / told["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (told["size"], told["sha256"])
        if told["name"].endswith(".ndjson"):
            assert len(content.splitlines()) == content.count(b"\n") == told["records"] or not content
    with zipfile.ZipFile(file) as archive_file:
        names = {info.filename for info in archive_file.infolist()}
    assert names == {told["name"] for told in index["files"]} | {"index.json", "README.txt"}
    return index


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]
