"""No secret reaches a log, in either format."""

import json
import logging
import sys

import pytest

from backupsite.logs import ConsoleFormatter, ScrubbingJsonFormatter, scrub

CANARY = "c4n4ry/p@ss:w0rd"
AGE = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ"


@pytest.mark.parametrize(
    "text",
    [
        f"cannot reach postgres://shop:{CANARY}@db:5432/shop",
        f"redis://:{CANARY}@cache:6379/0 is away",
        f"password={CANARY} host=db",
        f"PGPASSWORD={CANARY}",
        f"{{'password': '{CANARY}', 'host': 'db'}}",
        f'{{"secret_key": "{CANARY}"}}',
        f"passphrase: {CANARY}",
        f"aws_secret_access_key = {CANARY}",
    ],
)
def test_a_password_is_hidden(text: str) -> None:
    assert CANARY not in scrub(text)
    assert "c4n4ry" not in scrub(text)


@pytest.mark.parametrize(
    "secret", [AGE, AGE.lower(), "bks_Zm9vYmFyYmF6cXV4", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"]
)
def test_a_key_is_hidden(secret: str) -> None:
    assert secret not in scrub(f"given {secret} by the request")


def test_a_header_and_a_presigned_link_are_hidden() -> None:
    assert "eyJhbGciOi" not in scrub("Authorization: Bearer eyJhbGciOi.J9.x")
    assert "deadbeef" not in scrub("GET http://s3/b/k?X-Amz-Signature=deadbeef&x=1")
    assert "eyJpZCI6" not in scrub(f"Authorization: Nostr eyJpZCI6{'A' * 400}==")


@pytest.mark.parametrize("room", ["", "exports/", "packages/"])
def test_a_link_that_needs_no_other_credentials_is_hidden(room: str) -> None:
    said = scrub(f"Error handling request /api/downloads/{room}eyJiYWNrdXAiOiJi:1vX-2_Z:c4n4ry?x=1")
    assert "c4n4ry" not in said and "eyJiYWNr" not in said
    assert f"/api/downloads/{room}***" in said


@pytest.mark.parametrize(
    "text",
    [
        "bkp_0123456789ab started",
        "stored 4096 bytes as shop/2026/01/shop_2026-01-01_00-00-00_bkp_1-1.dump.zst in local",
        "ready in 2.1 s at http://127.0.0.1:8000",
        "the site's database did not take the sign of life: OperationalError",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrub(text) == text


def _record(message: str, **extra: str) -> logging.LogRecord:
    try:
        raise ValueError(f"password={CANARY}")
    except ValueError:
        record = logging.LogRecord("jobs", logging.ERROR, __file__, 1, message, (), sys.exc_info())
    vars(record).update(extra)
    return record


def test_a_traceback_is_scrubbed_too() -> None:
    text = ConsoleFormatter("%(message)s").format(_record("failed"))
    assert "Traceback" in text
    assert CANARY not in text


def test_json_stays_json() -> None:
    line = ScrubbingJsonFormatter("%(message)s").format(_record(f'said "password={CANARY}"', job=f"token={CANARY}"))
    assert CANARY not in line
    assert json.loads(line)["message"].startswith("said")
    assert "\n" not in line
