"""SIGKILL in every phase of a copy: it comes back by itself, leaves no object or upload, and its source is whole."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.prepared import prepare
from tests.servers.s3 import S3Server

pytestmark = [pytest.mark.slow]

# A bucket differs from a disk while it is written and in what an upload leaves behind.
KILLS = (
    *(("disk", phase) for phase in ("read", "write", "read_back", "finish", "complete")),
    *(("bucket", phase) for phase in ("write", "read_back", "complete")),
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, s3: S3Server) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("copies")
    local = {"kind": "local", "reserve_bytes": 0}
    bucket = {
        "id": "bucket",
        "name": "bucket",
        "kind": "s3",
        "bucket": s3.make_bucket(),
        "endpoint_url": s3.endpoint_url,
        "region": "us-east-1",
        "access_key": s3.access_key,
        "secret_key": s3.secret_key,
        "addressing": "path",
    }
    places = [
        {"id": "first", "name": "first", "path": str(folder / "first"), **local},
        {"id": "disk", "name": "disk", "path": str(folder / "disk"), **local},
        bucket,
    ]
    prepare(folder / "data")
    env = {
        "PATH": os.environ["PATH"],
        "BACKUPSITE_DATA_DIR": str(folder / "data"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.copy_kills"],
        input=json.dumps({"destinations": places, "kills": KILLS}),
        check=False,
        capture_output=True,
        text=True,
        env=env,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(("place", "phase"), KILLS)
def test_a_kill_in_any_phase_of_a_copy_is_resolved(found: dict[str, Any], place: str, phase: str) -> None:
    kill = found["kills"][f"{place} {phase}"]
    assert kill["signal"] == 9
    assert kill["left"], "the kill came while something lay there"
    assert (kill["status"], kill["code"]) == ("scheduled", "worker_lost")
    assert (kill["stray"], kill["rows"]) == ([], [["first", "stored"]])
    assert (kill["then"], kill["same"], kill["source_same"]) == ("completed", True, True)
    assert kill["key"] != kill["again"], "no two attempts share a key"


def test_a_large_copy_takes_no_more_memory_than_its_buffers(found: dict[str, Any]) -> None:
    memory = found["memory"]
    assert (memory["status"], memory["stored"]) == (0, True)
    assert memory["more"] < 100 << 20, memory
