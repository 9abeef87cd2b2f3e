"""Object Lock and versions of a bucket: what is asked for, what the store says it holds, how a version goes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from backups.storage.base import PERMISSION, Stored
from backups.storage.s3_calls import call, s3_code
from jobs.errors import BackupError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LOCK_OFF = "destination_lock_off"
HINT = "Object Lock is chosen when a bucket is made, and brings versions with it: docs/object-lock.md has the commands."


@dataclass(frozen=True)
class Lock:
    """What every new object is given; off without a mode."""

    mode: str = ""
    days: int = 0

    def __bool__(self) -> bool:
        return bool(self.mode)

    def parameters(self) -> dict[str, Any]:
        """S3's for creating an object, counted from now."""
        if not self:
            return {}
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=self.days)
        return {"ObjectLockMode": self.mode, "ObjectLockRetainUntilDate": until}


def stored_as(
    client: "S3Client", where: Mapping[str, Any], *, asked: Mapping[str, Any], answer: Mapping[str, Any]
) -> Stored:
    """What became of an object. `answer` is the store's to the write, `asked` what the write asked for.

    The store is asked for the date only where it has versions: a bucket may hold objects for longer by itself. What it
    does not say that it holds is held now: Ceph for one forgets what a multipart upload was begun with. Raises
    BackupError where that cannot be done.
    """
    version = _version(answer)
    asked_until: datetime | None = asked.get("ObjectLockRetainUntilDate")
    if not version:
        return Stored(retain_until=asked_until)
    found = held_until(client, where, version)
    if asked_until and (found is None or found < asked_until):
        call(
            client.put_object_retention,
            what=str(where["Key"]),
            VersionId=version,
            Retention={"Mode": asked["ObjectLockMode"], "RetainUntilDate": asked_until},
            **where,
        )
    return Stored(version, max(filter(None, (asked_until, found)), default=None))


def held_until(client: "S3Client", where: Mapping[str, Any], version: str = "") -> datetime | None:
    """Until when the store deletes it for nobody; None when it does not hold it, or does not say."""
    chosen: dict[str, Any] = {"VersionId": version} if version else {}
    try:
        found = call(client.get_object_retention, what=str(where["Key"]), **where, **chosen)
    except BackupError:
        return None
    until: datetime | None = found.get("Retention", {}).get("RetainUntilDate")
    return until.astimezone(UTC) if until else None


def newest_version(client: "S3Client", where: Mapping[str, Any]) -> str:
    """The newest that holds bytes, whatever marker lies on top of it; empty where that cannot be told."""
    try:
        return next((version for version, marker in _versions(client, where) if not marker), "")
    except BackupError:
        return ""


def remove_versions(client: "S3Client", where: Mapping[str, Any], *, known: str) -> bool:
    """Deletes every version of exactly this key, delete markers included. False when none of them can be known.

    Raises BackupError, with the code PERMISSION where the store still holds one or the credentials may not.
    """
    try:
        found = [version for version, _ in _versions(client, where)]
    except BackupError as error:
        if not error.permanent:
            raise
        if not known:
            return False
        found = [known]
    for version in found:
        try:
            call(client.delete_object, what=str(where["Key"]), VersionId=version, **where)
        except BackupError as error:
            if error.code != "object_missing":
                raise
    return True


def _versions(client: "S3Client", where: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Id of each, the newest first, and whether it is a delete marker."""
    wanted: dict[str, Any] = {"Bucket": where["Bucket"], "Prefix": where["Key"]}
    while True:
        page = call(client.list_object_versions, what=str(where["Key"]), **wanted)
        rows: list[tuple[Any, bool]] = [(row, False) for row in page.get("Versions", ())]
        rows += [(row, True) for row in page.get("DeleteMarkers", ())]
        for row, marker in sorted(rows, key=lambda pair: pair[0]["LastModified"], reverse=True):
            if row["Key"] == where["Key"]:
                yield row["VersionId"], marker
        if not page.get("IsTruncated"):
            return
        wanted |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}


def require_lock(client: "S3Client", where: Mapping[str, Any], lock: Lock) -> str:
    """A warning, empty when all is well. Raises BackupError(code=LOCK_OFF) where the bucket holds nothing.

    An upload that is asked to be held, begun and given up, stores nothing and costs nothing; the store refuses it where
    the bucket has no Object Lock, and where the credentials may not ask for it.
    """
    bucket = str(where["Bucket"])
    try:
        upload = call(client.create_multipart_upload, what=bucket, **where, **lock.parameters())["UploadId"]
    except BackupError as error:
        if s3_code(error.__cause__) in ("InvalidRequest", "InvalidArgument", "ObjectLockConfigurationNotFoundError"):
            raise _off(bucket) from error
        raise
    warning = ""
    try:
        call(client.abort_multipart_upload, what=bucket, UploadId=upload, **where)
    except BackupError as error:
        if error.code != PERMISSION:
            raise
        warning = "The destination's credentials may not abort uploads: what fails halfway stays and is billed."
    try:
        found = call(client.get_object_lock_configuration, what=bucket, Bucket=bucket)
    except BackupError as error:
        if error.code == PERMISSION:
            return warning or "The destination's credentials may not read whether the bucket has Object Lock."
        if error.permanent or s3_code(error.__cause__) == "NotImplemented":
            raise _off(bucket) from error
        raise
    if found.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") != "Enabled":
        raise _off(bucket)
    return warning


def _version(answer: Mapping[str, Any]) -> str:
    version = str(answer.get("VersionId") or "")
    return "" if version == "null" else version  # the one of a bucket whose versions are switched off


def _off(bucket: str) -> BackupError:
    return BackupError(f"The bucket {bucket} has no Object Lock.", code=LOCK_OFF, permanent=True, hint=HINT)
