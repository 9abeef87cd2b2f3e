"""What can be set for an S3 Database."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from databases.engines.base import Connection, secret
from databases.engines.s3_bucket.globs import LONGEST, faults_of_patterns

ADDRESSING = ("auto", "path", "virtual")
MOST_PARALLEL = 64
MOST_INCREMENTALS = 365
PEM = re.compile(r"\s*(-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\s*)+", re.DOTALL)
# Names of buckets, of the older rules and of other stores too, and the ARN of an access point.
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}|arn:[A-Za-z0-9:/_-]{1,1000}")
BLANK = re.compile(r"[\s\x00-\x1f\x7f]")


def _option(default: Any, help_text: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help_text, "choices": choices})


@dataclass(frozen=True)
class S3Options:
    """`include` and `exclude` are globs over whole keys (globs.py) and narrow every dump of the Database.

    Without `access_key` and `secret_key` the host's own role signs. `prefix` is taken as it is: `images/` is a
    folder, `images` also begins `images-old/`.
    """

    bucket: str = _option("", "The bucket's name.")
    prefix: str = _option("", "Only keys that begin so, for example images/ (empty: the whole bucket).")
    endpoint_url: str = _option("", "https://host or https://host:port of the store (empty: AWS).")
    region: str = _option("", "The bucket's region, for example eu-central-1.")
    access_key: str = _option("", "The access key's id (empty, with the secret key: this host's own role).")
    secret_key: str = secret("The secret of the access key.", default="")
    ca: str = _option("", "Certificates of the authorities to trust (PEM text).")
    addressing: str = _option("auto", "Whether the bucket's name stands in the path or in the host name.", ADDRESSING)
    full_every: int = _option(7, "How many incremental backups may follow a full one.")
    parallel: int = _option(16, "How many connections read at the same time.")
    include: tuple[str, ...] = _option((), "Only keys that match one of these globs, for example images/**.jpg.")
    exclude: tuple[str, ...] = _option((), "Not the keys that match one of these globs.")


def faults_of(connection: Connection, options: S3Options) -> dict[str, str]:
    faults: dict[str, str] = {}
    if not options.bucket:
        faults["options.bucket"] = "A bucket is needed."
    elif not BUCKET.fullmatch(options.bucket):
        faults["options.bucket"] = "This cannot be the name of a bucket."
    if len(options.prefix.encode(errors="replace")) > LONGEST or not _is_utf8(options.prefix):
        faults["options.prefix"] = f"A prefix is text of at most {LONGEST} bytes."
    if BLANK.search(options.region):
        faults["options.region"] = "A region holds no blanks."
    if not 1 <= options.full_every <= MOST_INCREMENTALS:
        faults["options.full_every"] = f"A number from 1 to {MOST_INCREMENTALS}."
    if not 1 <= options.parallel <= MOST_PARALLEL:
        faults["options.parallel"] = f"A number from 1 to {MOST_PARALLEL}."
    for name in ("include", "exclude"):
        if text := faults_of_patterns(getattr(options, name)):
            faults[f"options.{name}"] = text
    return faults | _endpoint_faults(options) | _key_faults(options)


def _endpoint_faults(options: S3Options) -> dict[str, str]:
    faults: dict[str, str] = {}
    if options.endpoint_url and not _is_endpoint(options.endpoint_url):
        faults["options.endpoint_url"] = "Write it as https://host or https://host:port, without user name and query."
    if options.ca and not PEM.fullmatch(options.ca):
        faults["options.ca"] = "Paste the PEM text, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----."
    if options.ca and options.endpoint_url.lower().startswith("http://"):
        faults["options.ca"] = "An endpoint without TLS has no certificate to check."
    return faults


def _key_faults(options: S3Options) -> dict[str, str]:
    faults = {
        f"options.{name}": "A key holds no blanks."
        for name in ("access_key", "secret_key")
        if BLANK.search(getattr(options, name))
    }
    if bool(options.access_key) != bool(options.secret_key):
        missing = "secret_key" if options.access_key else "access_key"
        faults[f"options.{missing}"] = "An access key needs its secret key. Give both, or neither for the host's role."
    return faults


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.query or parts.fragment or BLANK.search(text))
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
