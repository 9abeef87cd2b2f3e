"""The S3 client, made when it is needed. Importing it imports boto3."""

import os
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore import exceptions as boto
from botocore.config import Config
from botocore.httpsession import get_cert_path
from urllib3.exceptions import HTTPError

from databases.engines.s3_bucket.faults import NO_ROLE, translate
from databases.engines.s3_bucket.options import S3Options
from jobs.boto_sessions import new_session
from jobs.errors import BackupError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

T = TypeVar("T")

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
TOOL_VERSION = f"boto3 {boto3.__version__}"
CONNECT_S, READ_S = 10, 60
AGAIN = ("unreachable", "busy", "store_error")


@dataclass(frozen=True)
class Session:
    """A client, and what it was made of."""

    client: "S3Client"
    ca_file: str
    credentials: Any

    def tls_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file or None)


@contextmanager
def connected(options: S3Options, *, connections: int = 1) -> Iterator["S3Client"]:
    """A client for up to `connections` threads. Raises BackupError: tls, endpoint, auth."""
    with opened(options, connections=connections) as session:
        yield session.client


@contextmanager
def opened(options: S3Options, *, connections: int = 1) -> Iterator[Session]:
    """As `connected`, with what is needed to sign requests without the client."""
    with _ca_file(options.ca) as verify:
        try:
            core = new_session(options.access_key, options.secret_key)
            client: S3Client = boto3.session.Session(botocore_session=core).client(
                "s3",
                endpoint_url=options.endpoint_url or None,
                region_name=options.region or None,
                verify=verify,
                config=_config(options, connections),
            )
            credentials = core.get_credentials()
        except (boto.CredentialRetrievalError, boto.PartialCredentialsError) as error:
            raise NO_ROLE.error(options.bucket) from error
        except (ValueError, boto.BotoCoreError) as error:
            raise BackupError(
                "The S3 client cannot be made for this endpoint and region.",
                code="endpoint",
                permanent=True,
                hint="Write the endpoint as https://host or https://host:port.",
            ) from error
        if credentials is None:
            raise NO_ROLE.error(options.bucket)
        try:
            ca_file = verify or core.get_config_variable("ca_bundle") or get_cert_path(True) or ""
            yield Session(client, ca_file, credentials)
        finally:
            client.close()


def _config(options: S3Options, connections: int) -> Config:
    s3: Any = {
        "addressing_style": options.addressing,
        "payload_signing_enabled": options.endpoint_url.lower().startswith("http://"),
    }
    return Config(
        signature_version="s3v4",
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        max_pool_connections=connections,
        retries={"total_max_attempts": 3, "mode": "standard"},
        tcp_keepalive=True,
        # Lengths and ETags are checked here, and the manifest holds a SHA-256: boto3's further checksums cost time.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3=s3,
    )


@contextmanager
def _ca_file(ca: str) -> Iterator[str | None]:
    """botocore takes a CA as a file only."""
    if not ca:
        yield None
        return
    try:
        ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        raise BackupError("The CA is not a certificate in PEM form.", code="tls", permanent=True) from error
    with tempfile.NamedTemporaryFile("w", prefix="backupsite-ca-", suffix=".pem") as file:
        file.write(ca)
        file.flush()
        os.chmod(file.name, 0o600)
        yield file.name


def call(operation: Callable[..., T], *, what: str, patience: threading.Event | None = None, **parameters: Any) -> T:
    """Calls a method of the client about `what` and raises BackupError where that fails.

    botocore itself tries three times within seconds. With `patience` a lost connection or a busy store is tried again
    for half a minute more; setting the event ends that at once.
    """
    pauses = iter(PAUSES_S if patience else ())
    while True:
        try:
            return operation(**parameters)
        except (boto.BotoCoreError, boto.ClientError, HTTPError, OSError) as error:
            failure = translate(error, what)
            pause = next(pauses, None) if failure.code in AGAIN else None
            if pause is None or patience is None or patience.wait(pause):
                raise failure from error
