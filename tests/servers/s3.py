"""A throw-away S3 store: OpenStack Swift's account, container, object and proxy servers with its S3 interface.

It checks signatures, Content-MD5 and multipart rules as a real store does. It has no object lock and no lifecycle.
"""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from tests.servers.fetch import swift_python
from tests.servers.process import answers, free_port, running

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_SERVE = Path(__file__).with_name("swift_serve.py")


@dataclass(frozen=True)
class S3Server:
    """A running store. Path-style addressing, any region name; wrong keys are refused.

    `reader_key`, with the same secret, may only read and list, and only buckets whose ACL is `public-read`. `other_key`
    is of another account, with buckets of its own.
    """

    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    reader_key: str = "test:reader"
    other_key: str = "other:tester"

    def client(self, access_key: str = "") -> "S3Client":
        client: S3Client = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )
        return client

    def make_bucket(self, name: str | None = None, *, access_key: str = "") -> str:
        """A new bucket, by a name nobody has when none is given."""
        bucket = name or f"bucket-{secrets.token_hex(8)}"
        client = self.client(access_key)
        client.create_bucket(Bucket=bucket)
        client.close()
        return bucket


@contextmanager
def start_s3(folder: Path) -> Iterator[S3Server]:
    """Starts the store with everything in `folder` (its file system needs extended attributes). Raises Missing or
    ServerError."""
    python = str(swift_python())
    folder.mkdir(parents=True)
    port, secret = free_port(4), secrets.token_urlsafe(18)
    secret_file = folder / "secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text(secret)
    with ExitStack() as stack:
        for offset, name in enumerate(("proxy", "account", "container", "object")):
            stack.enter_context(
                running(
                    [python, str(_SERVE), name, str(folder), str(port)],
                    log=folder / f"{name}.log",
                    ready=lambda listening=port + offset: answers(listening),  # type: ignore[misc]
                )
            )
        yield S3Server(f"http://127.0.0.1:{port}", "test:tester", secret)
