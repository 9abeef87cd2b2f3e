"""DATABASE_URL -> Django's settings of the site's own database."""

from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

SQLITE = "django.db.backends.sqlite3"
POSTGRES = "django.db.backends.postgresql"
# A server whose host vanished is noticed within half a minute; the kernel alone takes a quarter of an hour, and longer
# than a lease. In milliseconds where libpq says so (tcp_user_timeout).
LIVELINESS = {
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


def database_settings(url: str, data_dir: Path) -> dict[str, Any]:
    """SQLite in the data folder when the URL is empty. Raises ImproperlyConfigured, which never quotes the URL."""
    try:
        settings: dict[str, Any] = {
            **dj_database_url.parse(
                url or f"sqlite:///{data_dir / 'backupsite.sqlite3'}", conn_max_age=60, conn_health_checks=True
            )
        }
    except ValueError as error:
        raise ImproperlyConfigured(
            "DATABASE_URL cannot be read: give it as postgres://user:password@host:5432/name, "
            "with special characters of the password percent-encoded."
        ) from error
    if settings["ENGINE"] == POSTGRES:
        settings["OPTIONS"] = {**LIVELINESS, **settings.get("OPTIONS", {})}
    if settings["ENGINE"] == SQLITE:
        # In a file, not in memory: threads of a test meet each other as processes of a site do.
        settings["TEST"] = {"NAME": data_dir / "test.sqlite3"}
        # IMMEDIATE: a transaction that will write takes its lock at the start, where waiting for it is safe.
        settings["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA busy_timeout=20000;",
        }
    return settings
