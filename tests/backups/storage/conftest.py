"""A fresh Destination of each kind, on a real filesystem and a real S3 server."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backups.storage.local import LocalStorage
from backups.storage.s3 import S3BackupStorage

S3Factory = Callable[..., S3BackupStorage]


@pytest.fixture
def local(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path / "artefacts", reserve_bytes=0, marker="dst_test")
    storage.prepare()
    return storage


@pytest.fixture
def s3_storage(s3: Any) -> S3Factory:
    """Makes storages over one new bucket; what is given replaces an argument of the constructor."""
    arguments = {
        "bucket": f"bucket-{uuid.uuid4().hex}",
        "prefix": "some/prefix",
        "endpoint_url": s3.endpoint_url,
        "region": s3.region,
        "access_key": s3.access_key,
        "secret_key": s3.secret_key,
        "addressing": "path",
    }
    S3BackupStorage(**arguments).client.create_bucket(Bucket=arguments["bucket"])
    return lambda **changes: S3BackupStorage(**{**arguments, **changes})
