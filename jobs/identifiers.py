"""Made identifiers: a prefix and 12 lower-case letters and digits (62 bits)."""

import secrets
import string

ALPHABET = string.ascii_lowercase + string.digits


def make_id(prefix: str) -> str:
    return f"{prefix}_" + "".join(secrets.choice(ALPHABET) for _ in range(12))
