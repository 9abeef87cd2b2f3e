"""A bucket of any size passes through a bounded memory."""

import json
import subprocess
import sys

import pytest

from demo.site import REPOSITORY
from tests.databases.engines.s3_bucket.fake_store import BUCKET, fake_store

LIMIT_MB = 300
LARGE, SMALL = 12, 400  # objects of 48 MB, and of 100 KB

# Reads the bucket whole, as a worker's process would, and says what it took.
READ = """
import json, re, sys
from databases.engines.base import Connection, DumpRequest
from databases.engines.s3_bucket.engine import S3BucketEngine
from databases.engines.s3_bucket.options import S3Options
from tests.contracts.engines import RecordingGuard

engine = S3BucketEngine(Connection(), S3Options(**json.load(sys.stdin)))
buffer, total = bytearray(1 << 20), 0
with engine.dump(DumpRequest(guard=RecordingGuard())) as dump:
    while count := dump.readinto(buffer):
        total += count
# Not ru_maxrss: that remembers the process which this one was forked from.
peak_kb = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(json.dumps({"bytes": total, "peak_mb": peak_kb >> 10}))
"""


@pytest.mark.slow
def test_six_hundred_megabytes_pass_through_a_bounded_memory() -> None:
    large, small = bytes(48 << 20), b"x" * 100_000
    with fake_store() as (store, server):
        store.objects = {f"large/{n:02}": large for n in range(LARGE)} | {f"small/{n:03}": small for n in range(SMALL)}
        options = {
            "bucket": BUCKET,
            "endpoint_url": server.endpoint_url,
            "region": server.region,
            "access_key": server.access_key,
            "secret_key": server.secret_key,
            "addressing": "path",
        }
        done = subprocess.run(
            [sys.executable, "-c", READ],
            input=json.dumps(options),
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["bytes"] > LARGE * len(large) + SMALL * len(small)
    assert said["peak_mb"] < LIMIT_MB
