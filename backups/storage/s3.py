"""A bucket of S3, or of a store that speaks its protocol, as a Destination. Importing this imports boto3."""

import os
import ssl
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from django.utils.http import content_disposition_header
from storages.backends.s3 import S3Storage

from backups.storage.base import PERMISSION, ObjectStorage, StoredObject, UnfinishedWrite, ignore_upload, never_stop
from backups.storage.keys import validate_key
from backups.storage.multipart import store
from backups.storage.parts import MIB
from backups.storage.readers import Reader
from backups.storage.s3_calls import call, s3_code
from backups.storage.s3_put import Target, put
from backups.storage.s3_read import open_ranges
from jobs.errors import BackupError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ADDRESSING = ("auto", "path", "virtual")
LONGEST_LINK_S = 7 * 24 * 3600  # what a version 4 signature allows


class S3BackupStorage(ObjectStorage, S3Storage):  # type: ignore[misc]
    """Objects below `prefix` in `bucket`.

    `access_key` and `secret_key` are both given, or both left out for the host's own role. `ca` is PEM text. An
    `encryption` is `AES256` or `aws:kms` (with `kms_key_id`, or the account's default key).
    """

    def __init__(
        self,
        *,
        bucket: str,
        prefix: str = "",
        endpoint_url: str = "",
        region: str = "",
        access_key: str = "",
        secret_key: str = "",
        ca: str = "",
        storage_class: str = "",
        encryption: str = "",
        kms_key_id: str = "",
        addressing: str = "auto",
    ) -> None:
        if bool(access_key) != bool(secret_key):
            raise BackupError(
                "An access key needs its secret key, and the other way round.",
                code="destination_credentials",
                permanent=True,
                hint="Give both, or neither to use this host's own role.",
            )
        self.prefix = validate_key(prefix.strip("/")) + "/" if prefix.strip("/") else ""
        self.parameters = {
            name: value
            for name, value in (
                ("StorageClass", storage_class),
                ("ServerSideEncryption", encryption),
                ("SSEKMSKeyId", kms_key_id),
            )
            if value
        }
        super().__init__(
            bucket_name=bucket,
            location=self.prefix,
            endpoint_url=endpoint_url or None,
            region_name=region or None,
            access_key=access_key or None,
            secret_key=secret_key or None,
            # Left alone, django-storages would mix the host's own token into the keys that were given.
            security_token=None,
            session_profile=None,
            custom_domain=None,
            file_overwrite=False,
            max_memory_size=16 * MIB,
            verify=_ca_file(self, ca) if ca else None,
            client_config=_client_config(addressing, tls=not endpoint_url.startswith("http://")),
        )

    @property
    def client(self) -> "S3Client":
        """One client a thread; each may be handed to other threads."""
        try:
            client: S3Client = self.connection.meta.client
        except ValueError as error:
            raise BackupError(
                f"{self.endpoint_url} cannot be an endpoint.",
                code="destination_endpoint",
                permanent=True,
                hint="Write it as https://host or https://host:port.",
            ) from error
        return client

    def write(
        self,
        key: str,
        reader: Reader,
        *,
        on_upload: Callable[[str], None] = ignore_upload,
        check: Callable[[], None] = never_stop,
    ) -> int:
        return store(self._target(key), reader, on_upload=on_upload, check=check)

    def write_text(self, key: str, text: str) -> None:
        put(self._target(key), bytearray(text.encode()))

    @contextmanager
    def open_stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[Reader]:
        where = self._where(key)
        found = self._head(key)
        size = found["ContentLength"]
        end = size if length is None else start + length
        if not 0 <= start <= end <= size:
            raise BackupError(f"{key} has {size} bytes, {end} were asked for.", code="object_truncated")
        with open_ranges(
            self.client, bucket=where["Bucket"], key=where["Key"], etag=found["ETag"], start=start, end=end
        ) as reader:
            yield reader

    def stat(self, key: str) -> StoredObject | None:
        try:
            found = self._head(key)
        except BackupError as error:
            if error.code != "object_missing":
                raise
            return None
        return StoredObject(key=key, size=found["ContentLength"], modified=found["LastModified"].astimezone(UTC))

    def _head(self, key: str) -> Any:
        """Raises BackupError: object_missing only where the bucket is there."""
        try:
            return call(self.client.head_object, what=key, **self._where(key))
        except BackupError as error:
            if error.code == "object_missing":
                self._require_bucket()
            raise

    def _require_bucket(self) -> None:
        """A HEAD does not tell a missing object from a missing bucket."""
        try:
            call(self.client.head_bucket, what=self.bucket_name, Bucket=self.bucket_name)
        except BackupError as error:
            if error.code == "object_missing":
                raise BackupError(
                    f"There is no bucket {self.bucket_name}.", code="destination_bucket_missing", permanent=True
                ) from error
            if s3_code(error.__cause__) != "403":
                raise

    def delete(self, name: str) -> None:
        try:
            call(self.client.delete_object, what=name, **self._where(name))
        except BackupError as error:
            if error.code != "object_missing":
                raise

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        wanted: dict[str, Any] = {"Bucket": self.bucket_name, "Prefix": self.prefix + prefix}
        while True:
            page = call(self.client.list_objects_v2, what=self.bucket_name, **wanted)
            for found in page.get("Contents", ()):
                key = found["Key"].removeprefix(self.prefix)
                yield StoredObject(key=key, size=found["Size"], modified=found["LastModified"].astimezone(UTC))
            if not page["IsTruncated"]:
                return
            wanted["ContinuationToken"] = page["NextContinuationToken"]

    def presigned_url(self, key: str, *, expires_in: int, filename: str) -> str | None:
        parameters = {**self._where(key), "ResponseContentDisposition": content_disposition_header(True, filename)}
        return call(
            self.client.generate_presigned_url,
            what=key,
            ClientMethod="get_object",
            Params=parameters,
            ExpiresIn=min(expires_in, LONGEST_LINK_S),
        )

    def abort_uploads(self, key: str, *, upload_id: str | None = None) -> int:
        found = {upload_id} if upload_id else set()
        try:
            found |= set(self._uploads_of(key))
        except BackupError as error:
            if error.code != PERMISSION:
                raise  # credentials that may not list uploads: the recorded one is all that can be known of
        return sum(self._abort(key, upload) for upload in sorted(found))

    def _abort(self, key: str, upload_id: str) -> bool:
        try:
            call(self.client.abort_multipart_upload, what=key, UploadId=upload_id, **self._where(key))
        except BackupError as error:
            if s3_code(error.__cause__) != "NoSuchUpload":
                raise
            return False
        return True

    def _uploads_of(self, key: str) -> Iterator[str]:
        # A prefix also finds the uploads of longer keys.
        yield from (found.upload_id for found in self.list_unfinished(validate_key(key)) if found.key == key)

    def list_unfinished(self, prefix: str = "") -> Iterator[UnfinishedWrite]:
        wanted: dict[str, Any] = {"Bucket": self.bucket_name, "Prefix": self.prefix + prefix}
        while True:
            page = call(self.client.list_multipart_uploads, what=prefix or self.bucket_name, **wanted)
            for found in page.get("Uploads", ()):
                key = found["Key"].removeprefix(self.prefix)
                yield UnfinishedWrite(key, found["Initiated"].astimezone(UTC), found["UploadId"])
            if not page.get("IsTruncated"):
                return
            wanted |= {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def free_bytes(self) -> int | None:
        return None

    def _where(self, key: str) -> dict[str, Any]:
        return {"Bucket": self.bucket_name, "Key": self.prefix + validate_key(key)}

    def _target(self, key: str) -> Target:
        return Target(self.client, self.bucket_name, self._where(key)["Key"], self.parameters)


def _client_config(addressing: str, *, tls: bool) -> Config:
    if addressing not in ADDRESSING:
        raise ValueError(f"addressing is one of {', '.join(ADDRESSING)}")
    s3: Any = {"addressing_style": addressing, "payload_signing_enabled": not tls}
    return Config(
        signature_version="s3v4",
        connect_timeout=10,
        read_timeout=60,
        retries={"total_max_attempts": 3, "mode": "standard"},
        tcp_keepalive=True,
        # Every part carries its MD5, and artefacts are read back: boto3's further checksums only cost time. Over
        # plain HTTP the payload stays signed, for nothing else protects it there.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3=s3,
    )


def _ca_file(owner: object, ca: str) -> str:
    """botocore takes a CA as a file only. It lives as long as `owner`."""
    try:
        ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        raise BackupError("The CA is not a certificate in PEM form.", code="destination_tls", permanent=True) from error
    fd, path = tempfile.mkstemp(prefix="backupsite-ca-", suffix=".pem")
    with os.fdopen(fd, "w") as file:
        file.write(ca)
    weakref.finalize(owner, os.unlink, path)
    return path
