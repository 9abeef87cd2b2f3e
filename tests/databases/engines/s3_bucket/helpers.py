"""Buckets with objects in them, and what a dump of one holds."""

import io
import json
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from databases.engines.base import Connection
from databases.engines.s3_bucket import tarformat
from databases.engines.s3_bucket.engine import S3BucketEngine
from databases.engines.s3_bucket.options import S3Options
from tests.contracts.engines import Dumped
from tests.servers.s3 import S3Server


def engine_to(server: S3Server, bucket: str, **options: Any) -> S3BucketEngine:
    known: dict[str, Any] = {
        "endpoint_url": server.endpoint_url,
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "region": server.region,
        "addressing": "path",
    }
    return S3BucketEngine(Connection(), S3Options(**(known | {"bucket": bucket} | options)))


def fill(server: S3Server, bucket: str, objects: Mapping[str, bytes]) -> None:
    with closing(server.client()) as client, ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(client.put_object, Bucket=bucket, Key=key, Body=objects[key]) for key in objects]:
            done.result()


@dataclass(frozen=True)
class Tar:
    """A dump, unpacked by Python's tarfile: `contents` by exact key, the last copy of each."""

    names: list[str]
    contents: dict[str, bytes]
    headers: dict[str, dict[str, str]]
    lines: list[dict[str, Any]]
    summary: dict[str, Any]


def opened(dumped: Dumped) -> Tar:
    found = Tar([], {}, {}, [], {})
    with tarfile.open(fileobj=io.BytesIO(dumped.data), mode="r:") as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            content = file.read()
            found.names.append(member.name)
            if member.name == tarformat.SUMMARY:
                found.summary.update(json.loads(content))
            elif member.name.startswith(tarformat.OWN + "manifest-"):
                found.lines.extend(json.loads(text) for text in content.splitlines())
            else:
                key = tarformat.decode_key(member.pax_headers[tarformat.KEY])
                found.contents[key] = content
                found.headers[key] = dict(member.pax_headers)
    return found


def index_of(dumped: Dumped) -> tuple[int, dict[str, dict[str, Any]]]:
    """How many incrementals there are in the chain, and the entries by key."""
    assert dumped.index is not None
    head, *entries = [json.loads(text) for text in dumped.index.splitlines()]
    keys = [entry["key"] for entry in entries]
    assert keys == sorted(set(keys), key=str.encode)
    return head["chain"], {entry["key"]: entry for entry in entries}
