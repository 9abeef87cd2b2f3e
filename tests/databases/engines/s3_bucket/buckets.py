"""Buckets with something in them, and what two of them have in common."""

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from tests.servers.s3 import S3Server


def fill(server: S3Server, bucket: str, objects: Mapping[str, bytes | Mapping[str, Any]]) -> None:
    """Bytes, or the arguments of PutObject."""
    with closing(server.client()) as client, ThreadPoolExecutor(8) as threads:

        def put(item: tuple[str, bytes | Mapping[str, Any]]) -> None:
            key, content = item
            arguments = {"Body": content} if isinstance(content, bytes) else content
            client.put_object(Bucket=bucket, Key=key, **arguments)

        list(threads.map(put, objects.items()))


def clear(server: S3Server, bucket: str, keys: Iterable[str]) -> None:
    with closing(server.client()) as client:
        for key in keys:
            client.delete_object(Bucket=bucket, Key=key)


def keys_of(server: S3Server, bucket: str, prefix: str = "") -> list[str]:
    with closing(server.client()) as client:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]


def content_of(server: S3Server, bucket: str, prefix: str = "") -> dict[str, tuple[Any, ...]]:
    """Below the prefix: what matters of every object, by the rest of its key."""
    kept = ("ContentType", "Metadata", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage")
    with closing(server.client()) as client, ThreadPoolExecutor(8) as threads:

        def get(key: str) -> tuple[str, tuple[Any, ...]]:
            found: Any = client.get_object(Bucket=bucket, Key=key)
            digest = hashlib.sha256()
            for block in found["Body"].iter_chunks(1 << 20):
                digest.update(block)
            headers = (found.get(name) for name in kept)
            return key.removeprefix(prefix), (digest.hexdigest(), *map(str, headers), found.get("ExpiresString"))

        return dict(threads.map(get, keys_of(server, bucket, prefix)))


def uploads_of(server: S3Server, bucket: str) -> list[str]:
    """Keys of unfinished uploads."""
    with closing(server.client()) as client:
        return [found["Key"] for found in client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
