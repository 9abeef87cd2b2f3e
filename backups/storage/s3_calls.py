"""Every call to S3 goes through `call`: connection loss is retried, and errors become words an operator can act on."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from botocore import exceptions as boto
from urllib3.exceptions import HTTPError

from backups.storage.base import PERMISSION
from jobs.errors import BackupError

T = TypeVar("T")

UNREACHABLE = "destination_unreachable"
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)

_KEYS = ("destination_credentials", True, "Check the access key and the secret key.")
_DENIED = (PERMISSION, True, "Allow these credentials to write, read, list and delete in that bucket.")
_BUSY = ("destination_busy", False, "")
_REGION = ("destination_region", True, "Set the destination's region to the bucket's own.")
_GONE = ("object_missing", True, "")
_FULL = ("destination_full", False, "Raise the quota, free space or keep fewer backups.")
_FAULTS = {  # S3's code -> our code, permanent, hint
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "InvalidToken": _KEYS,
    "ExpiredToken": _KEYS,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _DENIED,
    "403": _DENIED,
    "InvalidBucketName": ("destination_bucket_missing", True, "Correct the name of the bucket."),
    "NoSuchBucket": ("destination_bucket_missing", True, "Create the bucket or correct its name."),
    "RequestTimeTooSkewed": ("destination_clock", False, "Set this host's clock (NTP)."),
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "301": _REGION,
    "NoSuchKey": _GONE,
    "404": _GONE,
    "PreconditionFailed": ("object_changed", False, "It was replaced while it was being read."),
    "412": ("object_changed", False, "It was replaced while it was being read."),
    "InvalidRange": ("object_truncated", False, ""),
    "416": ("object_truncated", False, ""),
    "InvalidObjectState": ("destination_archived", True, "Use a storage class that can be read at once."),
    "InvalidStorageClass": ("destination_storage_class", True, "Use a storage class that this store knows."),
    "QuotaExceeded": _FULL,
    "XMinioStorageFull": _FULL,
    "InsufficientStorage": _FULL,
    "507": _FULL,
    "SlowDown": _BUSY,
    "503": _BUSY,
    "ServiceUnavailable": _BUSY,
    "Throttling": _BUSY,
    "RequestTimeout": _BUSY,
    "BadDigest": ("destination_corrupts", False, "The bytes changed on their way to the store."),
}
_LOST = (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError, HTTPError, OSError)


def call(operation: Callable[..., T], *, what: str, patience: threading.Event | None = None, **parameters: Any) -> T:
    """Calls a method of the S3 client about `what` and raises BackupError where that fails.

    botocore itself tries three times within seconds. With `patience` a lost connection or a busy store is tried again
    for a minute more; setting the event ends that at once.
    """
    pauses = iter(PAUSES_S if patience else ())
    while True:
        try:
            return operation(**parameters)
        except (boto.BotoCoreError, boto.ClientError, HTTPError, OSError) as error:
            failure = translate(error, what)
            pause = next(pauses, None) if failure.code in (UNREACHABLE, "destination_busy") else None
            if pause is None or patience is None or patience.wait(pause):
                raise failure from error


def s3_code(error: BaseException | None) -> str:
    """S3's own code of an error, empty where it has none."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""


def translate(error: Exception, what: str) -> BackupError:
    """`error` of the S3 client as an expected failure. Messages name no key and no header."""
    if isinstance(error, boto.ClientError):
        return _refused(error, what)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError):
        return BackupError(
            f"{what}: this host has no S3 credentials.",
            code="destination_credentials",
            permanent=True,
            hint="Give the destination an access key and a secret key, or this host a role.",
        )
    if isinstance(error, boto.SSLError) and "certificate" in str(error).lower():
        return BackupError(
            f"{what}: the store's TLS certificate is not trusted.",
            code="destination_tls",
            permanent=True,
            hint="Give the destination the CA that signed it, and the host name it was issued for.",
        )
    if isinstance(error, boto.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
        return BackupError(
            f"{what}: the store does not speak TLS there.",
            code="destination_tls",
            permanent=True,
            hint="Use http:// in the endpoint, or the port that speaks TLS.",
        )
    if isinstance(error, _LOST):
        return BackupError(
            f"{what}: the connection to the store failed ({type(error).__name__}).",
            code=UNREACHABLE,
            hint="Check the endpoint, the network and whether the store runs.",
        )
    return BackupError(f"{what}: {error}", code="destination_error", permanent=True)


def _refused(error: boto.ClientError, what: str) -> BackupError:
    found, status = s3_code(error), int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    default = ("destination_error", 400 <= status < 500, "") if status != 503 else _BUSY
    code, permanent, hint = _FAULTS.get(found, default)
    said = error.response.get("Error", {}).get("Message", "")
    return BackupError(f"{what}: the store answered {found} {said}".strip(), code=code, permanent=permanent, hint=hint)
