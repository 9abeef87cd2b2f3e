"""Run a command and put it into the audit: the one place that every command of `manage.py` passes."""

import getpass
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import django
from django.core.management import execute_from_command_line
from django.db import DatabaseError, connection

# They only look, or they run for as long as the site does and audit what is asked of them one by one.
QUIET = {
    "serve",
    "worker",
    "beat",
    "sweep",
    "doctor",
    "backups",
    "packages",
    "orphans",
    "verify_report",
    "export_config",
}
QUIET |= {"check", "check_database", "help", "version", "spectacular", "runserver", "showmigrations", "sqlmigrate"}
QUIET |= {"makemigrations", "makemessages", "compilemessages", "collectstatic", "findstatic", "diffsettings", "test"}
SECRET = re.compile(r"passw|secret|token|key|identity|credential|url|dsn")


def run(argv: Sequence[str]) -> None:
    words = list(argv)
    if len(words) < 2 or words[1] in QUIET or words[1].startswith("-") or {"-h", "--help"} & set(words):
        execute_from_command_line(words)
        return
    django.setup()
    with _audited(words):
        execute_from_command_line(words)


@contextmanager
def _audited(words: list[str]) -> Iterator[None]:
    from audit.models import Entry  # after setup: models need it
    from audit.services.draft import drafting
    from audit.services.record import record

    outcome = Entry.Outcome.FAILED
    with drafting() as draft:
        try:
            yield
            outcome = Entry.Outcome.DONE
        except SystemExit as ended:
            outcome = Entry.Outcome.FAILED if ended.code else Entry.Outcome.DONE
            raise
        finally:
            if _there_is_an_audit():
                record(
                    action=f"command.{words[1]}",
                    via=Entry.Via.COMMAND,
                    outcome=outcome,
                    who=_who(),
                    through="manage.py",
                    detail=without_secrets(words[1:]),
                    draft=draft,
                )


def without_secrets(words: Sequence[str]) -> str:
    """The command as it was typed. Secrets are never arguments here; whoever gave one as such is not repeated."""
    shown: list[str] = []
    hide = False
    for word in words:
        name, equals, _ = word.partition("=")
        secret = bool(SECRET.search(name)) and word.startswith("-")
        if hide and not word.startswith("-"):
            shown.append("…")
        elif secret and equals:
            shown.append(f"{name}=…")
        else:
            shown.append(re.sub(r"//[^/@\s]+@", "//…@", word))
        hide = secret and not equals
    return " ".join(shown)


def _there_is_an_audit() -> bool:
    """A command may run before the site has a database, or because it cannot be reached."""
    try:
        return "audit_entry" in connection.introspection.table_names()
    except DatabaseError:
        return False


def _who() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())  # a container's user need not have a name
