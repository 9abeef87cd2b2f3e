"""Which keys a Destination takes."""

from jobs.errors import BackupError

PARTIAL = ".partial"  # the suffix of a local object that is not finished
LONGEST_KEY = 1000  # bytes; S3 takes 1,024, and a Destination's prefix needs room
LONGEST_NAME = 255 - len(PARTIAL)  # bytes between two slashes on every common filesystem


def validate_key(key: str) -> str:
    """Returns `key`, or raises BackupError(code="invalid_key") when it could leave the Destination or be misread."""
    names = key.split("/")
    if (
        any(name in ("", ".", "..") or len(_bytes(name)) > LONGEST_NAME for name in names)
        or "\0" in key
        or len(_bytes(key)) > LONGEST_KEY
        or key.endswith(PARTIAL)
    ):
        raise BackupError(f"{key[:200]!r} cannot be an object's key.", code="invalid_key", permanent=True)
    return key


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
