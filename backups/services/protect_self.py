"""The site protects itself: a built-in Database for its own rows, kept in step with where they are."""

import logging
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from backups.services.protect import protect_database
from databases.models import Database
from databases.services.consent import HOST
from databases.services.delete import delete_database
from databases.services.save import save_database
from jobs.errors import BackupError
from jobs.fields import unseal

SELF_ID = "backupsite"
SCHEDULE = "30 3 * * *"  # not the policy's, which may be none
SOCKETS = "/var/run/postgresql"

logger = logging.getLogger(__name__)


def protect_self() -> Database | None:
    """Makes the built-in Database, or mends its connection; what an operator changed otherwise stays as it is.

    None where BACKUPSITE_SELF_BACKUP is off: then it is taken away, and its backups stay listed. Raises BackupError
    (id_taken, no_address) where it cannot be made.
    """
    with transaction.atomic():
        database = Database.objects.select_for_update().filter(pk=SELF_ID).first()
        if not settings.BACKUPSITE_SELF_BACKUP:
            if database is not None and database.built_in:
                delete_database(database=database, consent=HOST)
            return None
        if database is None:
            return _make()
        if not database.built_in:
            raise BackupError(
                f"A Database of your own has the id {SELF_ID!r}: the site cannot protect itself under it.",
                code="id_taken",
                permanent=True,
                hint="Register yours under another id, or set BACKUPSITE_SELF_BACKUP=false.",
            )
        return _mend(database)


def keep_protecting_self() -> None:
    """At each start: what keeps the site from protecting itself must not keep it from protecting others."""
    try:
        protect_self()
    except BackupError as error:
        logger.warning("the site does not protect itself: %s", error)


def _make() -> Database:
    row = Database(pk=SELF_ID, built_in=True)
    policy = {
        "name": "Backupsite itself",
        "schedule": SCHEDULE,
        "timezone": "UTC",
        # It holds the whole history. The secrets in it are sealed with the site's encryption keys besides.
        "encryption": "age" if settings.BACKUPSITE_AGE_RECIPIENTS else "none",
        "package": False,
    }
    try:
        return protect_database(database=row, values={**policy, **_connection()}, create=True)
    except ValidationError as error:
        raise _no_address(error) from error


def _mend(database: Database) -> Database:
    wanted = _connection()
    found = {name: getattr(database, name) for name in wanted if name != "password"}
    if "password" in wanted:
        found["password"] = unseal(database.secrets).get("password", "")
    if found == wanted:
        return database
    database.engine = wanted["engine"]  # rows that moved to another kind of database; older backups keep theirs
    plain = {"host": "", "port": None, "username": "", "database_name": "", "password": ""}
    try:
        return save_database(database=database, values={**plain, **wanted}, create=False)
    except ValidationError as error:
        raise _no_address(error) from error


def _no_address(error: ValidationError) -> BackupError:
    return BackupError(
        f"The site's own database cannot be backed up as DATABASE_URL gives it: {', '.join(error.message_dict)}.",
        code="no_address",
        permanent=True,
        hint="Name host, user and database in DATABASE_URL.",
    )


def _connection() -> dict[str, Any]:
    """Values of a Database, as DATABASE_URL says."""
    own = connection.settings_dict
    if connection.vendor == "sqlite":
        return {"engine": "sqlite", "options": {"path": str(own["NAME"])}}
    options = {name: own["OPTIONS"][name] for name in ("sslmode",) if name in own["OPTIONS"]}
    if authorities := own["OPTIONS"].get("sslrootcert"):
        options["sslrootcert"] = Path(authorities).read_text(encoding="utf-8")
    return {
        "engine": "postgres",
        "host": own["HOST"] or SOCKETS,
        "port": int(own["PORT"]) if own["PORT"] else None,
        "username": own["USER"],
        "password": own["PASSWORD"],
        "database_name": str(own["NAME"]),
        "options": options,
    }
