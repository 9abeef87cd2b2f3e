"""The single-application deployment: one database, one bucket of images and where their backups go, by environment."""

from typing import Any

from backupsite import environment
from backupsite.config.reading import Document

DAILY, WEEKLY = "0 2 * * *", "0 3 * * 0"
YES, NO = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})


def read_environment() -> Document | None:
    """What the variables of docs/single-application.md describe; None where none of the four that start it is set.

    Each may be given as NAME_FILE. Faults are in `Document.faults`.
    """
    starts = ("DB_HOST", "AWS_BUCKET_NAME", "BACKUP_DIR", "S3_BACKUP_BUCKET")
    if not any(environment.value(name) for name in starts):
        return None
    document = Document({}, lines={(): 0})
    document.values = {
        "global": _policy(document),
        "storage": _storage(),
        "databases": [*_database(document), *_images()],
    }
    if not document.values["storage"]:
        del document.values["storage"]
    return document


def _policy(document: Document) -> dict[str, Any]:
    crons = [
        cron
        for name, cron in (("ENABLE_DAILY_BACKUP", DAILY), ("ENABLE_WEEKLY_BACKUP", WEEKLY))
        if _switched_on(document, name)
    ]
    return {
        "retention_days": _number(document, "BACKUP_RETENTION_DAYS", 30),
        "schedule": crons or None,
        "timezone": environment.value("TZ") or "UTC",
    }


def _storage() -> list[dict[str, Any]]:
    """A bucket is the default before a folder: it survives the machine."""
    folder, bucket = environment.value("BACKUP_DIR"), environment.value("S3_BACKUP_BUCKET")
    found: list[dict[str, Any]] = []
    if folder:
        found.append({"id": "disk", "name": "Disk", "type": "local", "path": folder, "default": not bucket})
    if bucket:
        given = {"id": "bucket", "name": bucket, "type": "s3", "bucket": bucket, "default": True, **_login()}
        prefix = environment.value("S3_BACKUP_PREFIX")
        found.append(given | ({"prefix": prefix} if prefix else {}))
    return found


def _database(document: Document) -> list[dict[str, Any]]:
    host = environment.value("DB_HOST")
    if not host:
        return []
    name = environment.value("DB_NAME")
    given = {
        "id": "database",
        "name": name or "database",
        "engine": "postgres",
        "host": host,
        "port": _number(document, "DB_PORT", 5432),
        "username": environment.value("DB_USER"),
        "password": environment.value("DB_PASSWORD"),
        "database_name": name,
    }
    return [given]


def _images() -> list[dict[str, Any]]:
    bucket = environment.value("AWS_BUCKET_NAME")
    if not bucket:
        return []
    return [{"id": "images", "name": bucket, "engine": "s3", "options": {"bucket": bucket, **_login()}}]


def _login() -> dict[str, str]:
    """How both buckets are reached; without keys the host's own role is used."""
    variables = {
        "endpoint_url": "AWS_ENDPOINT_URL",
        "region": "AWS_REGION",
        "access_key": "AWS_ACCESS_KEY",
        "secret_key": "AWS_SECRET_ACCESS_KEY",
    }
    return {name: given for name, variable in variables.items() if (given := environment.value(variable))}


def _number(document: Document, name: str, default: int) -> int:
    text = environment.value(name) or str(default)
    if text.isdecimal():
        return int(text)
    document.faults.append(document.fault((name,), "A whole number is wanted."))
    return default


def _switched_on(document: Document, name: str) -> bool:
    text = environment.value(name).lower()
    if text not in YES | NO:
        document.faults.append(document.fault((name,), "true or false is wanted."))
    return text in YES
