"""The S3 client, made when it is needed, and its errors in words an operator can act on. Importing it imports boto3."""

import os
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore import exceptions as boto
from botocore.config import Config
from urllib3.exceptions import HTTPError

from databases.engines.s3_bucket.options import S3Options
from jobs.errors import BackupError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

T = TypeVar("T")

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
TOOL_VERSION = f"boto3 {boto3.__version__}"
_CONNECT_S, _READ_S = 10, 60

_KEYS = ("auth", True, "Check the access key and the secret key.")
_DENIED = ("permission", True, "Allow these credentials to list the bucket and to read its objects.")
_BUSY = ("busy", False, "The store asks for fewer requests: lower `parallel`, or wait.")
_REGION = ("region", True, "Set the Database's region to the bucket's own.")
_GONE = ("not_found", True, "Check the bucket's name, the region and the endpoint.")
_CHANGED = ("object_changed", False, "It was replaced while it was being read.")
_FAULTS = {  # S3's code -> our code, permanent, hint
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "InvalidToken": _KEYS,
    "ExpiredToken": _KEYS,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _DENIED,
    "403": _DENIED,
    "InvalidBucketName": _GONE,
    "NoSuchBucket": _GONE,
    "NoSuchKey": ("object_missing", True, ""),
    "NoSuchVersion": ("object_missing", True, ""),
    "404": ("object_missing", True, ""),
    "RequestTimeTooSkewed": ("clock", False, "Set this host's clock (NTP)."),
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "301": _REGION,
    "PreconditionFailed": _CHANGED,
    "412": _CHANGED,
    "InvalidRange": _CHANGED,
    "416": _CHANGED,
    "InvalidObjectState": (
        "archived",
        True,
        "Restore it from its archive class (S3 Glacier) first, or leave it out with `exclude`.",
    ),
    "SlowDown": _BUSY,
    "503": _BUSY,
    "ServiceUnavailable": _BUSY,
    "Throttling": _BUSY,
    "RequestTimeout": _BUSY,
    "InternalError": ("store_error", False, ""),
    "BadDigest": ("corrupt", False, "The bytes changed on their way to the store."),
}
_LOST = (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError, HTTPError, OSError)
_AGAIN = ("unreachable", "busy", "store_error")


@contextmanager
def connected(options: S3Options, *, connections: int = 1) -> Iterator["S3Client"]:
    """A client for up to `connections` threads. Raises BackupError: tls, endpoint, auth (no role found later)."""
    with _ca_file(options.ca) as verify:
        try:
            client: S3Client = boto3.session.Session().client(
                "s3",
                endpoint_url=options.endpoint_url or None,
                region_name=options.region or None,
                aws_access_key_id=options.access_key or None,
                aws_secret_access_key=options.secret_key or None,
                verify=verify,
                config=_config(options, connections),
            )
        except (ValueError, boto.BotoCoreError) as error:
            raise BackupError(
                "The S3 client cannot be made for this endpoint and region.",
                code="endpoint",
                permanent=True,
                hint="Write the endpoint as https://host or https://host:port.",
            ) from error
        try:
            yield client
        finally:
            client.close()


def _config(options: S3Options, connections: int) -> Config:
    s3: Any = {
        "addressing_style": options.addressing,
        "payload_signing_enabled": options.endpoint_url.lower().startswith("http://"),
    }
    return Config(
        signature_version="s3v4",
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
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
            pause = next(pauses, None) if failure.code in _AGAIN else None
            if pause is None or patience is None or patience.wait(pause):
                raise failure from error


def s3_code(error: BaseException | None) -> str:
    """S3's own code of an error, empty where it has none."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""


def translate(error: Exception, what: str) -> BackupError:
    """`error` of the S3 client as an expected failure."""
    if isinstance(error, boto.ClientError):
        return _refused(error, what)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError):
        return BackupError(
            f"{what}: this host has no S3 credentials.",
            code="auth",
            permanent=True,
            hint="Give the Database an access key and a secret key, or this host a role.",
        )
    if isinstance(error, boto.SSLError) and "certificate" in str(error).lower():
        return BackupError(
            f"{what}: the store's TLS certificate is not trusted.",
            code="tls",
            permanent=True,
            hint="Give the Database the CA that signed it, and the host name it was issued for.",
        )
    if isinstance(error, boto.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
        return BackupError(
            f"{what}: the store does not speak TLS there.",
            code="tls",
            permanent=True,
            hint="Use http:// in the endpoint, or the port that speaks TLS.",
        )
    if isinstance(error, _LOST):
        return BackupError(
            f"{what}: the connection to the store failed ({type(error).__name__}).",
            code="unreachable",
            hint="Check the endpoint, the network and whether the store runs.",
        )
    return BackupError(f"{what}: {error}", code="store_error", permanent=True)


def _refused(error: boto.ClientError, what: str) -> BackupError:
    found, status = s3_code(error), int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    default = ("store_error", 400 <= status < 500, "") if status != 503 else _BUSY
    code, permanent, hint = _FAULTS.get(found, default)
    said = error.response.get("Error", {}).get("Message", "")
    if code == "auth":
        said = ""  # some stores repeat the key they were given
    if found == "InvalidRequest" and "encrypt" in said.lower():
        code, permanent = "customer_key", True
        hint = "Objects under a customer's own key (SSE-C) cannot be read: leave them out with `exclude`."
    return BackupError(f"{what}: the store answered {found} {said}".strip(), code=code, permanent=permanent, hint=hint)
