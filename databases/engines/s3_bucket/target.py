"""The bucket that a restore writes into: what is in it, and which key goes where."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from databases.engines.base import StoredPlace
from databases.engines.s3_bucket.client import call
from databases.engines.s3_bucket.faults import shown
from databases.engines.s3_bucket.globs import LONGEST, Selection
from databases.engines.s3_bucket.keys import Keys
from databases.engines.s3_bucket.options import S3Options
from databases.engines.s3_bucket.places import OwnPlaces
from databases.engines.s3_bucket.structure import damaged
from jobs.errors import BackupError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


class Target:
    """`source_prefix` is the backup's; keys below it go below the target's own prefix.

    `wanted` is what the request chose, in the backup's keys. `places` are the site's Destinations: what is stored
    there is as if it were not in the bucket, and is never written or deleted. In a scratch prefix nothing is theirs.
    """

    def __init__(
        self,
        client: "S3Client",
        options: S3Options,
        *,
        source_prefix: str,
        wanted: Selection,
        places: Sequence[StoredPlace],
        log: Callable[[str], None],
        is_scratch: bool = False,
    ) -> None:
        self._keys_here = Keys(options.prefix, source_prefix) if is_scratch else None
        self._client, self._options, self._source_prefix = client, options, source_prefix
        self._wanted = wanted
        self._own = OwnPlaces(options, places, log)
        # The same store may have another name there: what could be an artefact of ours is never deleted.
        near = [replace(place, endpoint_url=options.endpoint_url) for place in places]
        self._spared = OwnPlaces(options, near, log)

    def key_of(self, source_key: str) -> str:
        """Where an object goes; empty when nowhere, for the prefix itself may be the key of an object.

        Raises BackupError: key_too_long, own_place.
        """
        if not source_key.startswith(self._source_prefix):
            raise damaged(f"{shown(source_key)} is not below the prefix of its backup.")
        if self._keys_here:
            return self._keys_here.here(source_key)
        key = self._options.prefix + source_key.removeprefix(self._source_prefix)
        if len(key.encode()) > LONGEST:
            raise BackupError(
                f"{shown(source_key)} is longer than {LONGEST} bytes below the target's prefix.",
                code="key_too_long",
                permanent=True,
                hint="Restore below a shorter prefix.",
            )
        if self._own.holds(key):
            raise BackupError(
                f"{shown(source_key)} would be written where a destination keeps its backups.",
                code="own_place",
                permanent=True,
                hint="Restore below another prefix or into another bucket.",
            )
        return key

    def require_empty(self, check: Callable[[], None]) -> None:
        """Raises BackupError(code="target_not_empty") when the target holds a wanted key."""
        found = next(self._keys(self._wanted, check), None)
        if found is not None:
            raise BackupError(
                f"The target already holds {shown(found[1])}.",
                code="target_not_empty",
                permanent=True,
                hint="Restore below an empty prefix, or set drop_existing to overwrite what the backup holds.",
            )

    def delete_extra(
        self,
        *,
        covers: Callable[[str], bool],
        is_there: Callable[[str], bool],
        do: Callable[[Callable[[], None]], None],
        check: Callable[[], None],
    ) -> int:
        """Deletes the wanted keys that the backup covers and does not hold; returns how many. `do` runs a request."""
        count = 0
        for source_key, key in self._keys(self._wanted, check):
            if covers(source_key) and not is_there(source_key) and not self._spared.holds(key):
                do(partial(self._delete, key))
                count += 1
        return count

    def _delete(self, key: str) -> None:
        # One by one: a batch is XML, which cannot hold every key.
        call(self._client.delete_object, what=shown(key), Bucket=self._options.bucket, Key=key)

    def _keys(self, wanted: Selection, check: Callable[[], None]) -> Iterator[tuple[str, str]]:
        """Wanted keys below the target's prefix: what each would be called in the backup, and its own."""
        prefix = self._options.prefix
        narrow = wanted.prefix(self._source_prefix).removeprefix(self._source_prefix)
        parameters: dict[str, Any] = {"Bucket": self._options.bucket, "Prefix": prefix + narrow}
        while True:
            check()
            page = call(self._client.list_objects_v2, what=self._options.bucket, **parameters)
            for entry in page.get("Contents", ()):
                key = entry["Key"]
                source_key = self._source_prefix + key.removeprefix(prefix)
                if wanted.matches(source_key) and not self._own.holds(key):
                    yield source_key, key
            if not page.get("IsTruncated"):
                return
            parameters["ContinuationToken"] = page["NextContinuationToken"]
