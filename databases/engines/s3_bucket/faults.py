"""What a store refuses, in words an operator can act on. Importing it imports botocore."""

import json
from dataclasses import dataclass

from botocore import exceptions as boto
from urllib3.exceptions import HTTPError

from jobs.errors import BackupError

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


@dataclass(frozen=True)
class Fault:
    """What a failure is called here, and what can be done about it."""

    message: str
    code: str
    permanent: bool
    hint: str

    def error(self, what: str) -> BackupError:
        return BackupError(f"{what}: {self.message}", code=self.code, permanent=self.permanent, hint=self.hint)


TLS_FAULTS = {
    "certificate": Fault(
        "the store's TLS certificate is not trusted.",
        "tls",
        True,
        "Give the Database the CA that signed it, and the host name it was issued for.",
    ),
    "plain": Fault(
        "the store does not speak TLS there.", "tls", True, "Use http:// in the endpoint, or the port that speaks TLS."
    ),
}
NO_ROLE = Fault(
    "this host has no S3 credentials.",
    "auth",
    True,
    "Give the Database an access key and a secret key, or this host a role.",
)


def s3_code(error: BaseException | None) -> str:
    """S3's own code of an error, empty where it has none."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""


def translate(error: Exception, what: str) -> BackupError:
    """`error` of the S3 client as an expected failure."""
    if isinstance(error, boto.ClientError):
        return _refused(error, what)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError):
        return NO_ROLE.error(what)
    if isinstance(error, boto.SSLError) and "certificate" in str(error).lower():
        return TLS_FAULTS["certificate"].error(what)
    if isinstance(error, boto.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
        return TLS_FAULTS["plain"].error(what)
    if isinstance(error, _LOST):
        return connection_lost(error, what)
    return BackupError(f"{what}: {error}", code="store_error", permanent=True)


def connection_lost(error: Exception, what: str) -> BackupError:
    return BackupError(
        f"{what}: the connection to the store failed ({type(error).__name__}).",
        code="unreachable",
        hint="Check the endpoint, the network and whether the store runs.",
    )


def shown(key: str) -> str:
    """A key as a message can hold it."""
    return json.dumps(key, ensure_ascii=not key.isprintable())


def _refused(error: boto.ClientError, what: str) -> BackupError:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return refused(s3_code(error), status, error.response.get("Error", {}).get("Message", ""), what)


def refused(found: str, status: int, said: str, what: str) -> BackupError:
    """S3's code, HTTP's status and the store's words as an expected failure."""
    default = ("store_error", 400 <= status < 500, "") if status != 503 else _BUSY
    code, permanent, hint = _FAULTS.get(found, default)
    if code == "auth":
        said = ""  # some stores repeat the key they were given
    if found == "InvalidRequest" and "encrypt" in said.lower():
        code, permanent = "customer_key", True
        hint = "Objects under a customer's own key (SSE-C) cannot be read: leave them out with `exclude`."
    return BackupError(f"{what}: the store answered {found} {said}".strip(), code=code, permanent=permanent, hint=hint)
