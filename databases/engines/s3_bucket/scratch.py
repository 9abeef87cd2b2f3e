"""A throw-away target: a prefix of its own in the bucket of a server that was named for drills."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from databases.engines.base import Engine
from databases.engines.proof import ScratchRequest
from databases.engines.s3_bucket.client import call, connected
from databases.engines.s3_bucket.faults import shown
from databases.engines.s3_bucket.options import S3Options
from databases.engines.s3_bucket.places import SCRATCH
from databases.engines.s3_bucket.record import Record
from jobs.errors import BackupError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


@dataclass(frozen=True)
class Scratch:
    """What an engine knows that stands for a scratch prefix: whose keys they are, and what was written."""

    source_prefix: str
    record: Record


def require_server(request: ScratchRequest) -> Engine:
    if request.server is None:
        raise BackupError(
            "A drill of a bucket needs a bucket to make its scratch prefix in.",
            code="no_scratch",
            permanent=True,
            hint="Name another S3 Database as drill server; its key has to list, read, write and delete there.",
        )
    return request.server


def options_for(request: ScratchRequest) -> S3Options:
    """The server's, narrowed to the scratch prefix."""
    options: S3Options = require_server(request).options
    return replace(options, prefix=f"{options.prefix}{SCRATCH}{request.name}/", include=(), exclude=())


def remove(request: ScratchRequest) -> None:
    """Asks without the job's guard: a job that is stopped leaves nothing behind either."""
    options = options_for(request)
    with (
        connected(options, connections=options.parallel) as client,
        ThreadPoolExecutor(options.parallel, thread_name_prefix="s3-delete") as pool,
    ):

        def delete(key: str) -> None:
            call(client.delete_object, what=shown(key), Bucket=options.bucket, Key=key)

        for page in _pages(client, options):
            list(pool.map(delete, page))
        _abort_uploads(client, options, request)


def _pages(client: "S3Client", options: S3Options) -> Iterator[list[str]]:
    """From the start each time: what was listed is gone."""
    before: list[str] = []
    while True:
        found = call(client.list_objects_v2, what=options.bucket, Bucket=options.bucket, Prefix=options.prefix)
        keys = [entry["Key"] for entry in found.get("Contents", ())]
        if not keys:
            return
        if keys == before:
            raise BackupError(
                f"{shown(keys[0])} was deleted and is still there.",
                code="scratch_left",
                hint="Delete what lies below the scratch prefix by hand; a lock on the bucket forbids drills in it.",
            )
        yield keys
        before = keys


def _abort_uploads(client: "S3Client", options: S3Options, request: ScratchRequest) -> None:
    bucket, list_uploads, abort = options.bucket, client.list_multipart_uploads, client.abort_multipart_upload
    try:
        for upload in call(list_uploads, what=bucket, Bucket=bucket, Prefix=options.prefix).get("Uploads", ()):
            key = upload["Key"]
            call(abort, what=shown(key), Bucket=bucket, Key=key, UploadId=upload["UploadId"])
    except BackupError as error:  # a restore aborts its own; only one that was killed has left any
        request.guard.log(f"unfinished uploads below {options.prefix} could not be looked for: {error}")
