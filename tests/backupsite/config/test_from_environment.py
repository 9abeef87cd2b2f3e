"""A whole deployment by environment: no file and no click."""

from pathlib import Path

import pytest

from backups.models import Destination
from backupsite.config.apply import apply_document
from backupsite.config.from_environment import read_environment
from backupsite.config.reading import ConfigRefused
from databases.models import Database, Policy
from jobs.fields import unseal

pytestmark = pytest.mark.django_db

WHOLE = {
    "DB_HOST": "db",
    "DB_PORT": "6543",
    "DB_NAME": "app",
    "DB_USER": "app",
    "DB_PASSWORD": "hush-hush",
    "AWS_ACCESS_KEY": "AK",
    "AWS_SECRET_ACCESS_KEY": "hush-hush",
    "AWS_REGION": "eu-central-1",
    "AWS_BUCKET_NAME": "images",
    "AWS_ENDPOINT_URL": "https://s3.example.com",
    "BACKUP_DIR": "/backups",
    "S3_BACKUP_BUCKET": "vault",
    "S3_BACKUP_PREFIX": "app",
    "ENABLE_DAILY_BACKUP": "true",
    "ENABLE_WEEKLY_BACKUP": "1",
    "TZ": "Europe/Madrid",
}


def apply(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    for name in WHOLE:
        monkeypatch.delenv(name, raising=False)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    document = read_environment()
    assert document is not None
    return [str(change) for change in apply_document(document=document)]


def test_the_variables_make_two_databases_two_destinations_and_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    apply(monkeypatch, **WHOLE)
    database, images = Database.objects.get(pk="database"), Database.objects.get(pk="images")
    assert (database.engine, database.port, database.timezone) == ("postgres", 6543, "Europe/Madrid")
    assert unseal(database.secrets)["password"] == "hush-hush"
    assert images.options == {
        "bucket": "images", "endpoint_url": "https://s3.example.com", "region": "eu-central-1", "access_key": "AK",
    }  # fmt: skip
    assert Destination.objects.get(is_default=True).prefix == "app"
    assert Destination.objects.get(pk="disk").path == "/backups"
    policy = Policy.objects.get()
    assert (policy.retention_days, policy.schedule) == (30, ["0 2 * * *", "0 3 * * 0"])
    assert apply(monkeypatch, **WHOLE) == []


def test_without_its_variables_nothing_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WHOLE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    assert read_environment() is None


def test_a_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file\n")
    given = {name: text for name, text in WHOLE.items() if name != "DB_PASSWORD"}
    apply(monkeypatch, **given, DB_PASSWORD_FILE=str(tmp_path / "password"))
    assert unseal(Database.objects.get(pk="database").secrets)["password"] == "from a file"


def test_faults_name_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigRefused) as raised:
        apply(monkeypatch, **{**WHOLE, "DB_PORT": "high", "ENABLE_DAILY_BACKUP": "perhaps"})
    assert str(raised.value.faults[0]) == "DB_PORT: A whole number is wanted."
    assert str(raised.value.faults[1]) == "ENABLE_DAILY_BACKUP: true or false is wanted."
