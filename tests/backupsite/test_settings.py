"""Settings from the environment, read in a process of their own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.backupsite.site import ROOT, environment, manage

HTTPS = {"BACKUPSITE_PUBLIC_URL": "https://backups.example.com"}
IDENTITY = "AGE-SECRET-KEY-1"


def read(*names: str, data_dir: Path, **values: str) -> dict[str, Any]:
    code = (
        f"import json; from backupsite import settings as s; print(json.dumps({{n: getattr(s, n) for n in {names}}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(data_dir, **values),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("proxies", ["0", "1"])
def test_the_deployment_checks_pass_behind_https(tmp_path: Path, proxies: str) -> None:
    done = manage(
        "check", "--deploy", "--fail-level", "WARNING", data_dir=tmp_path, BACKUPSITE_TRUSTED_PROXIES=proxies, **HTTPS
    )
    assert done.returncode == 0, done.stderr


def test_cookies_are_secure_behind_https(tmp_path: Path) -> None:
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "ALLOWED_HOSTS")
    found = read(*names, data_dir=tmp_path, BACKUPSITE_TRUSTED_PROXIES="1", **HTTPS)
    assert found["SESSION_COOKIE_SECURE"] and found["CSRF_COOKIE_SECURE"] and found["SECURE_SSL_REDIRECT"]
    assert "backups.example.com" in found["ALLOWED_HOSTS"]


def test_settings_load_no_app_and_no_tool(tmp_path: Path) -> None:
    code = "import sys, backupsite.settings; print([m for m in ('boto3', 'jobs.models') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


AGE = ("BACKUPSITE_AGE_IDENTITIES", "BACKUPSITE_AGE_RECIPIENTS")


def test_the_sites_own_age_key_is_made_once(tmp_path: Path) -> None:
    first, second = read(*AGE, data_dir=tmp_path), read(*AGE, data_dir=tmp_path)
    assert first == second
    assert first["BACKUPSITE_AGE_IDENTITIES"][0].startswith(IDENTITY)
    assert first["BACKUPSITE_AGE_RECIPIENTS"][0].startswith("age1")
    assert (tmp_path / "keys" / "age_identity").stat().st_mode & 0o777 == 0o600


def test_removing_the_identity_makes_the_server_keyless(tmp_path: Path) -> None:
    before = read(*AGE, data_dir=tmp_path)
    (tmp_path / "keys" / "age_identity").unlink()
    after = read(*AGE, data_dir=tmp_path)
    assert after == {**before, "BACKUPSITE_AGE_IDENTITIES": []}


def test_a_server_given_recipients_makes_no_key(tmp_path: Path) -> None:
    recipient = read(*AGE, data_dir=tmp_path / "other")["BACKUPSITE_AGE_RECIPIENTS"][0]
    found = read(*AGE, data_dir=tmp_path / "data", BACKUPSITE_AGE_RECIPIENTS=recipient)
    assert found == {"BACKUPSITE_AGE_IDENTITIES": [], "BACKUPSITE_AGE_RECIPIENTS": [recipient]}
    assert not (tmp_path / "data" / "keys" / "age_identity").exists()


def test_a_given_identity_is_enough(tmp_path: Path) -> None:
    made = read(*AGE, data_dir=tmp_path / "other")
    file = tmp_path / "key"
    file.write_text(made["BACKUPSITE_AGE_IDENTITIES"][0] + "\n")
    assert read(*AGE, data_dir=tmp_path / "data", BACKUPSITE_AGE_IDENTITY_FILE=str(file)) == made


def test_forwarded_headers_are_believed_only_from_trusted_proxies(tmp_path: Path) -> None:
    code = (
        "from backupsite import settings, gunicorn; "
        "print(hasattr(settings, 'SECURE_PROXY_SSL_HEADER'), gunicorn.forwarded_allow_ips)"
    )
    for proxies, expected in (("0", "False"), ("1", "True *")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment(tmp_path, BACKUPSITE_TRUSTED_PROXIES=proxies),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected


def test_a_secret_key_is_not_taken_for_a_recipient(tmp_path: Path) -> None:
    identity = read("BACKUPSITE_AGE_IDENTITIES", data_dir=tmp_path)["BACKUPSITE_AGE_IDENTITIES"][0]
    done = manage("check", data_dir=tmp_path, BACKUPSITE_AGE_RECIPIENTS=identity)
    assert done.returncode != 0
    assert "BACKUPSITE_AGE_RECIPIENTS" in done.stderr
    assert identity not in done.stderr
