"""Memory stays flat: 300 MB through each storage and back, in a process of its own whose peak is looked at."""

import os
import subprocess
import sys

from backups.storage.local import LocalStorage
from tests.backups.storage.conftest import S3Factory

SIZE = 300 << 20
PROGRAM = """if True:
    import os, resource, sys
    from django.conf import settings
    settings.configure()
    from backups.storage.local import LocalStorage
    from backups.storage.s3 import S3BackupStorage

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    class Zeros:
        left = int(sys.argv[1])
        def readinto(self, buffer):
            count = min(len(buffer), self.left)
            self.left -= count
            return count

    kind, *arguments = sys.argv[2:]
    if kind == "local":
        storage = LocalStorage(arguments[0], reserve_bytes=0)
    else:
        names = ("bucket", "endpoint_url", "region", "access_key")
        storage = S3BackupStorage(addressing="path", secret_key=os.environ["KEY"], **dict(zip(names, arguments)))
    storage.check()
    before = peak()
    assert storage.write("object", Zeros()) == int(sys.argv[1])
    written = peak()
    size, block = 0, bytearray(1 << 20)
    with storage.open_stream("object") as reader:
        while count := reader.readinto(block):
            size += count
    assert size == int(sys.argv[1])
    print(before, written, peak())
"""


def growth(*arguments: str, key: str = "") -> tuple[int, int]:
    """MiB the peak grew by writing, and by writing and reading."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(SIZE), *arguments],
        env={**os.environ, "KEY": key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    before, written, read = map(int, ran.stdout.split())
    return written - before, read - before


def test_local(local: LocalStorage) -> None:
    written, read = growth("local", str(local.root))
    assert written < 8
    assert read < 8


def test_s3(s3_storage: S3Factory) -> None:
    storage = s3_storage()
    known = (storage.bucket_name, storage.endpoint_url, storage.region_name, storage.access_key)
    written, read = growth("s3", *known, key=storage.secret_key)
    assert written < 64  # two parts, and a copy of the last one
    assert read < 72  # three pieces of 16 MiB
