"""What a site needs before its processes start: tables, a first admin, a default destination."""

import logging
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts.services.passwords import demand_change
from audit.services.draft import drafting
from audit.services.record import record
from backups.services.protect_self import keep_protecting_self
from backups.services.save_destination import ensure_default_destination
from backupsite import environment
from backupsite.config.from_environment import read_environment
from backupsite.config.reading import read_file
from backupsite.locks import site_lock
from backupsite.users import admins

logger = logging.getLogger(__name__)

SAFETY_COPIES = 3


def prepare(*, tell: Callable[[str], None], config: Path | None = None) -> None:
    """Under a lock, so that several hosts may start at once. `tell` gets what the operator must see, once.

    Raises ConfigRefused for a file of configuration with faults: a site that is not what its file says does not start.
    """
    with site_lock("prepare"):
        migrate()
        make_first_admin(tell=tell)
        configure(config)
        ensure_default_destination()
        keep_protecting_self()


def configure(config: Path | None) -> None:
    """Applies the file, else what the variables of a single application say, if there are any."""
    document = read_file(config) if config else read_environment()
    if document is not None:
        from backupsite.config.apply import apply_document  # jsonschema: a quarter of a second that few starts need

        source = config.name if config else "environment"
        with drafting() as draft:
            for change in apply_document(document=document):
                logger.info("%s: %s", source, change)
            if draft.changes:
                record(action="config.apply", via="site", outcome="done", through=source, draft=draft)


def migrate() -> None:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not pending:
        return
    if executor.loader.applied_migrations and connection.vendor == "sqlite":
        copy = copy_sqlite(folder=Path(settings.DATA_DIR) / "safety")
        logger.info("copied the site's database to %s before %d migrations", copy, len(pending))
    call_command("migrate", interactive=False, verbosity=0)
    logger.info("applied %d migrations", len(pending))


def copy_sqlite(*, folder: Path) -> Path:
    """A consistent copy by SQLite's own backup; the last three are kept."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy = folder / f"backupsite-{datetime.now(UTC):%Y-%m-%d_%H-%M-%S-%f}.sqlite3"
    copy.touch(mode=0o600)
    with (
        closing(sqlite3.connect(f"file:{connection.settings_dict['NAME']}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    for old in sorted(folder.glob("backupsite-*.sqlite3"))[:-SAFETY_COPIES]:
        old.unlink()
    return copy


def make_first_admin(*, tell: Callable[[str], None]) -> None:
    """Where there is no admin. A password that was made here is told once and stored only as its hash."""
    if admins().exists():
        return
    username = environment.value("BACKUPSITE_ADMIN_USERNAME", "admin")
    given = environment.value("BACKUPSITE_ADMIN_PASSWORD")
    password = given or secrets.token_urlsafe(12)
    admin = User.objects.create_superuser(username=username, password=password)
    if not given:
        demand_change(user=admin)  # it stands in a log now; one that was given is the deployment's own already
    shown = "the given password" if given else f"password {password} (shown only now)"
    tell(f"First admin: {username}, {shown}")
