"""A bucket of S3, or of a store that speaks its protocol, as a Destination. Importing this imports boto3."""

import os
import ssl
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from boto3.session import Session
from botocore.config import Config
from django.utils.http import content_disposition_header
from storages.backends.s3 import S3Storage

from backups.storage.base import (
    PERMISSION,
    ObjectStorage,
    Stored,
    StoredObject,
    UnfinishedWrite,
    ignore_stored,
    ignore_upload,
    never_stop,
)
from backups.storage.keys import validate_key
from backups.storage.multipart import store
from backups.storage.parts import MIB
from backups.storage.readers import Reader
from backups.storage.s3_calls import call, s3_code
from backups.storage.s3_lock import Lock, held_until, newest_version, remove_versions, require_lock, stored_as
from backups.storage.s3_put import Target, put
from backups.storage.s3_read import open_ranges
from jobs.boto_sessions import new_session
from jobs.errors import BackupError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ADDRESSING = ("auto", "path", "virtual")
PROBE_KEY = ".backupsite-probe"  # always the same: where nothing may be deleted, one of it stays
NOTHING = ".backupsite-look/"  # a prefix that no object has: the store answers with an empty list
LONGEST_LINK_S = 7 * 24 * 3600  # what a version 4 signature allows


class S3BackupStorage(ObjectStorage, S3Storage):  # type: ignore[misc]
    """Objects below `prefix` in `bucket`.

    `access_key` and `secret_key` are both given, or both left out for the host's own role. `ca` is PEM text. An
    `encryption` is `AES256` or `aws:kms` (with `kms_key_id`, or the account's default key). With a `lock` the store
    holds every object but the probe, counted from the moment its writing began.
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
        lock: Lock = Lock(),  # noqa: B008  # frozen
    ) -> None:
        if bool(access_key) != bool(secret_key):
            raise BackupError(
                "An access key needs its secret key, and the other way round.",
                code="destination_credentials",
                permanent=True,
                hint="Give both, or neither to use this host's own role.",
            )
        self.prefix = validate_key(prefix.strip("/")) + "/" if prefix.strip("/") else ""
        self.lock = lock
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

    def _create_session(self) -> Session:
        return Session(botocore_session=new_session(self.access_key or "", self.secret_key or ""))

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
        on_stored: Callable[[Stored], None] = ignore_stored,
        check: Callable[[], None] = never_stop,
    ) -> int:
        return store(self._target(key), reader, on_upload=on_upload, on_stored=on_stored, check=check)

    def write_text(self, key: str, text: str, *, on_stored: Callable[[Stored], None] = ignore_stored) -> None:
        target = self._target(key)
        answer = put(target, bytearray(text.encode()))
        on_stored(stored_as(self.client, target.where, asked=target.parameters, answer=answer))

    @contextmanager
    def open_stream(
        self, key: str, *, start: int = 0, length: int | None = None, version_id: str = ""
    ) -> Iterator[Reader]:
        where = self._where(key)
        version: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        found = self._head(key, **version)
        size = found["ContentLength"]
        end = size if length is None else start + length
        if not 0 <= start <= end <= size:
            raise BackupError(f"{key} has {size} bytes, {end} were asked for.", code="object_truncated")
        with open_ranges(
            self.client, bucket=where["Bucket"], key=where["Key"], etag=found["ETag"], start=start, end=end, **version
        ) as reader:
            yield reader

    def stat(self, key: str, *, version_id: str = "") -> StoredObject | None:
        version: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        try:
            found = self._head(key, **version)
        except BackupError as error:
            if error.code != "object_missing":
                raise
            return None
        return StoredObject(key=key, size=found["ContentLength"], modified=found["LastModified"].astimezone(UTC))

    def _head(self, key: str, **version: Any) -> Any:
        """Raises BackupError: object_missing only where the bucket is there."""
        try:
            return call(self.client.head_object, what=key, **self._where(key), **version)
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

    def delete(self, name: str, *, version_id: str | None = None) -> None:
        if self.lock or version_id is not None:
            try:
                if remove_versions(self.client, self._where(name), known=version_id or ""):
                    return
            except BackupError as error:
                if self.lock or error.code != PERMISSION:
                    raise  # elsewhere a delete marker is what such credentials may leave
        try:
            call(self.client.delete_object, what=name, **self._where(name))
        except BackupError as error:
            if error.code != "object_missing":
                raise

    def held_until(self, key: str, *, version_id: str = "") -> datetime | None:
        where = self._where(key)
        return held_until(self.client, where, version_id or newest_version(self.client, where))

    def look(self) -> None:
        try:
            next(iter(self.list(NOTHING)), None)
        except BackupError as error:
            if error.code != PERMISSION:
                raise  # credentials that only write are a wise choice

    def require_lock(self) -> str:
        return require_lock(self.client, self._where(PROBE_KEY), self.lock) if self.lock else ""

    def _probe_key(self) -> str:
        return PROBE_KEY

    def _write_probe(self, key: str, text: str) -> str | None:
        answer = put(replace(self._target(key), parameters=self.parameters), bytearray(text.encode()))
        return answer.get("VersionId")

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

    def presigned_url(self, key: str, *, expires_in: int, filename: str, version_id: str = "") -> str | None:
        parameters = {**self._where(key), "ResponseContentDisposition": content_disposition_header(True, filename)}
        if version_id:
            parameters["VersionId"] = version_id
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
            # Of an upload that was completed some stores say that its key is gone: there is nothing to abort either.
            if s3_code(error.__cause__) not in ("NoSuchUpload", "NoSuchKey"):
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
        parameters = {**self.parameters, **self.lock.parameters()}
        return Target(self.client, self.bucket_name, self._where(key)["Key"], parameters)


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
