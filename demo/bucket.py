"""A bucket of pictures as a sample: S3, with an incremental backup after some of them changed."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from demo.opening import open_artefact
from demo.pictures import picture
from demo.sample import Comparison, Sample, differences
from tests.servers.apt import Missing
from tests.servers.fetch import swift_python
from tests.servers.process import ServerError
from tests.servers.s3 import S3Server, start_s3

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PICTURES = 200
CONNECTIONS = 8
TYPE, CACHE = "image/png", "max-age=86400"
BUCKETS = {"pictures": "shop-pictures", "pictures-restored": "shop-pictures-restored"}
LIST = ["tar", "--list", "--warning=no-unknown-keyword"]
OWN = ".backupsite/"  # the tar's members that are no objects


class Pictures(Sample):
    title: ClassVar = "S3: a bucket of pictures"
    source: ClassVar = "pictures"
    target: ClassVar = "pictures-restored"
    incremental: ClassVar = True

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self._put_there: dict[str, tuple[str, ...]] = {}

    def fill(self, *, percent: int = 100) -> str:
        count = max(10, PICTURES * percent // 100)
        size = self._put((number, number) for number in range(count))
        return f"{count} pictures, {size / 1e6:.1f} MB"

    def change(self) -> str:
        """Three are replaced, two are new, one goes."""
        self._put([(1, 10_001), (4, 10_004), (7, 10_007), (20_001, 20_001), (20_002, 20_002)])
        with closing(self.server.client()) as client:
            client.delete_object(Bucket=BUCKETS[self.source], Key=key_of(5))
        del self._put_there[key_of(5)]
        return "3 replaced, 2 new, 1 deleted"

    def registration(self, identifier: str) -> dict[str, Any]:
        options = {
            "bucket": BUCKETS[identifier],
            "endpoint_url": self.server.endpoint_url,
            "region": self.server.region,
            "access_key": self.server.access_key,
            "secret_key": self.server.secret_key,
            "addressing": "path",
        }
        return {"engine": "s3", "options": options}

    def open(self, artefacts: list[Path], identity: Path) -> str:
        counts = []
        for artefact in artefacts:
            opened = open_artefact(artefact, identity=identity, tool=LIST)
            counts.append(sum(1 for name in opened.said.splitlines() if not name.startswith(OWN)))
        return f"{opened.how}: {' and '.join(map(str, counts))} objects"

    def compare(self) -> Comparison:
        """Of what was put into the source with what is now in the target."""
        before = self._put_there
        with closing(self.server.client()) as client:
            after = _contents(client, BUCKETS[self.target])
        return Comparison(f"{len(before)} objects by SHA-256, type and metadata", differences("object", before, after))

    def access(self) -> str:
        keys = f"{self.server.access_key} / {self.server.secret_key}"
        return f"{self.server.endpoint_url}, {' and '.join(BUCKETS.values())}, {keys}"

    def _put(self, pairs: Iterable[tuple[int, int]]) -> int:
        """A picture below the key of a number, each; returns their size."""
        with closing(self.server.client()) as client, ThreadPoolExecutor(CONNECTIONS) as threads:

            def put(pair: tuple[int, int]) -> int:
                number, seed = pair
                body = picture(seed)
                metadata = {"product": f"SKU-{number:05}", "grain": str(seed)}
                client.put_object(
                    Bucket=BUCKETS[self.source],
                    Key=key_of(number),
                    Body=body,
                    ContentType=TYPE,
                    CacheControl=CACHE,
                    Metadata=metadata,
                )
                self._put_there[key_of(number)] = _figures(body, TYPE, CACHE, metadata)
                return len(body)

            return sum(threads.map(put, pairs))


def start_pictures(stack: ExitStack, folder: Path) -> Pictures:
    """Starts the store, and makes its two buckets. Raises Missing or ServerError where that cannot be."""
    swift_python()
    _require_attributes(folder.parent)
    server = stack.enter_context(start_s3(folder))
    try:
        for bucket in BUCKETS.values():
            server.make_bucket(bucket)
    except (BotoCoreError, ClientError) as error:
        raise ServerError(f"The S3 store makes no bucket: {error}") from error
    return Pictures(server)


def key_of(number: int) -> str:
    return f"pictures/{number // 100:03}/{number:05} ü.png"


def _require_attributes(folder: Path) -> None:
    """Swift keeps an object's metadata in extended attributes of its file."""
    probe = folder / "attributes"
    probe.touch()
    try:
        os.setxattr(probe, "user.backupsite.demo", b"x" * 512)
    except OSError as error:
        raise Missing(f"the file system of {folder} keeps no extended attributes ({error.strerror})") from error
    finally:
        probe.unlink()


def _figures(body: bytes, kind: str, cache: str, metadata: Mapping[str, str]) -> tuple[str, ...]:
    words = ", ".join(f"{name}={value}" for name, value in sorted(metadata.items()))
    return (hashlib.sha256(body).hexdigest(), kind, cache, words)


def _contents(client: "S3Client", bucket: str) -> dict[str, tuple[str, ...]]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [found["Key"] for page in pages for found in page.get("Contents", ())]

    def get(key: str) -> tuple[str, ...]:
        found = client.get_object(Bucket=bucket, Key=key)
        with closing(found["Body"]) as body:
            return _figures(body.read(), found["ContentType"], found.get("CacheControl", ""), found["Metadata"])

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return dict(zip(keys, threads.map(get, keys), strict=True))
