"""What goes wrong with a service, in words an operator can act on. Importing it imports urllib3."""

import json
import re
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from urllib3 import exceptions as lib

from jobs.errors import BackupError

LONGEST_EXCERPT = 200
_BLANKS = re.compile(r"\s+")
_KEYS = ("auth", True, "Check auth, the token or the user and password, and the headers.")
_BUSY = ("busy", False, "The service asks for fewer requests.")
_STATUS = {  # HTTP's status -> our code, permanent, hint
    401: _KEYS,
    403: ("permission", True, "Allow these credentials to read there."),
    404: ("not_found", True, "Check the URL and the collection."),
    405: ("refused", True, "Check the method."),
    408: ("timeout", False, ""),
    410: ("not_found", True, "Check the URL and the collection."),
    413: ("refused", True, "Lower restore_batch, or raise the service's limit."),
    425: _BUSY,
    429: _BUSY,
    503: _BUSY,
}


class Refused(BackupError):
    """An answer with another status than one of success. `retry_after_s` is None where the service does not say."""

    def __init__(self, message: str, *, status: int, retry_after_s: float | None) -> None:
        default = ("service_error", False, "The service failed: see its own log.")
        if status < 500:
            default = ("refused", True, "")
        code, permanent, hint = _STATUS.get(status, default)
        super().__init__(message, code=code, permanent=permanent, hint=hint)
        self.status = status
        self.retry_after_s = retry_after_s


def incomplete(message: str) -> BackupError:
    return BackupError(
        message, code="incomplete_body", hint="The service, or a proxy before it, ended its answer early."
    )


def not_json(message: str) -> BackupError:
    return BackupError(
        message,
        code="not_json",
        permanent=True,
        hint="Check the URL: an error or login page is no JSON, whatever its status says.",
    )


def translate(error: Exception, what: str, *, timeout_s: int) -> BackupError:
    """`error` of urllib3 as an expected failure."""
    if isinstance(error, lib.ReadTimeoutError):
        return BackupError(
            f"{what}: nothing came for {timeout_s} s.",
            code="timeout",
            hint="Raise timeout_s, or see what the service does.",
        )
    cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    if isinstance(error, lib.SSLError) or isinstance(cause, ssl.SSLError):
        return _tls(cause, what)
    if isinstance(error, lib.ProtocolError) and "IncompleteRead" in str(error):
        return incomplete(f"{what}: the connection ended in the middle of the answer.")
    return BackupError(
        f"{what}: the connection to the service failed ({type(error).__name__}).",
        code="unreachable",
        hint="Check the URL, the network and whether the service runs.",
    )


def _tls(error: BaseException, what: str) -> BackupError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return BackupError(
            f"{what}: the service's TLS certificate is not trusted ({error.verify_message.rstrip('.')}).",
            code="tls",
            permanent=True,
            hint="Give the Database the CA that signed it, and use the host name it was issued for.",
        )
    if "WRONG_VERSION_NUMBER" in str(error) or "HTTP_REQUEST" in str(error):
        return BackupError(
            f"{what}: the service does not speak TLS there.",
            code="tls",
            permanent=True,
            hint="Use http:// in the URL, or the port that speaks TLS.",
        )
    return BackupError(f"{what}: TLS failed.", code="unreachable", hint="See the service's own log.")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a Retry-After asks for: a number, or a date by the service's own clock. RFC 9110, 10.2.3."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until = moment(text)
    if until is None:
        return None
    return max(0.0, (until - (moment(headers.get("Date", "")) or datetime.now(UTC))).total_seconds())


def moment(text: str) -> datetime | None:
    """An HTTP date in UTC; None for what is none."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def excerpt(body: bytes, secrets: Iterable[str]) -> str:
    """The beginning of an answer for a message: one line, printable, without what was sent as a secret."""
    text = body.decode("utf-8", "replace")
    told = {form for word in secrets for form in (word, json.dumps(word)[1:-1], quote(word, safe=""))}
    for word in sorted(told - {""}, key=len, reverse=True):
        text = text.replace(word, "***")
    text = _BLANKS.sub(" ", text).strip()
    printable = "".join(character for character in text if character.isprintable())
    return printable if len(printable) <= LONGEST_EXCERPT else f"{printable[:LONGEST_EXCERPT]}..."
