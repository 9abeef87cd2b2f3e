"""An S3 Destination passes the suite."""

from collections.abc import Callable
from typing import Any

import pytest

from backups.storage.base import ObjectStorage
from backups.storage.s3 import S3BackupStorage
from tests.backups.storage.conftest import S3Factory
from tests.contracts.destination_suite import MIB, DestinationSuite


class TestS3Storage(DestinationSuite):
    sizes = (0, 1, MIB, 16 * MIB - 1, 16 * MIB, 16 * MIB + 1, 32 * MIB, 50 * MIB + 17)

    @pytest.fixture
    def storage(self, s3_storage: S3Factory) -> S3BackupStorage:
        return s3_storage()

    def shorten_pages(self, storage: ObjectStorage) -> None:
        assert isinstance(storage, S3BackupStorage)

        def ten(params: dict[str, Any], **about: Any) -> None:
            params["MaxKeys"] = 10

        storage.client.meta.events.register("provide-client-params.s3.ListObjectsV2", ten)

    @pytest.fixture
    def leftovers(self, storage: S3BackupStorage) -> Callable[[], list[str]]:
        def uploads() -> list[str]:
            found = storage.client.list_multipart_uploads(Bucket=storage.bucket_name)
            return [upload["Key"] for upload in found.get("Uploads", ())]

        return uploads
