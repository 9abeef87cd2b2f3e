"""Restores to staging: masked or not at all, through the whole life of a job, killed in the middle too."""

import threading
from collections.abc import Callable
from contextlib import closing

import psutil
import psycopg2
import pytest

from databases.engines.base import RestoreRequest
from databases.engines.proof import Mask
from databases.models import Database
from databases.services.build_engine import build_engine
from databases.services.save_masking import save_masking
from jobs.errors import BackupError
from jobs.models import Job, LogLine, Status
from jobs.services.run import run_job
from notifications.models import Event
from tests.contracts.engines import RecordingGuard, dump_of
from tests.faults.conftest import Site
from tests.live import until
from tests.room import back_up, register, restore_into
from tests.servers.postgres import PostgresServer

Fresh = Callable[[PostgresServer], str]

# Looking at a masked value waits for whoever holds the lock 42: masking can be stopped in its middle.
PEOPLE = """
CREATE FUNCTION gate(mail text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
  IF mail LIKE '%@example.com' THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN true; END $$;
CREATE TABLE people (id int PRIMARY KEY, mail text CHECK (gate(mail)), kept text);
INSERT INTO people SELECT n, 'canary' || n || '@real.test', 'kept' FROM generate_series(1, 500) n;
"""
MAIL = {"item": "public.people", "column": "mail", "method": "fake", "value": "email"}


@pytest.fixture
def people(site: Site, fresh_database: Fresh) -> Database:
    name = fresh_database(site.server)
    site.server.psql(PEOPLE, name)
    return register(site.server, name)


@pytest.fixture
def staging(site: Site, fresh_database: Fresh) -> Database:
    database = register(site.server, fresh_database(site.server))
    save_masking(database=database, rules=[MAIL])
    return database


def said(job: Job) -> str:
    lines = LogLine.objects.filter(job_id=job.pk).values_list("message", flat=True)
    events = Event.objects.filter(subject_id=job.pk).values_list("message", flat=True)
    return "\n".join([*lines, *events, job.error_message])


def tables(site: Site, database: Database) -> str:
    return site.server.psql(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace", database.database_name
    )


def test_a_restore_to_staging_is_masked_and_says_so(site: Site, people: Database, staging: Database) -> None:
    restore = restore_into(staging, back_up(people))
    assert restore.status == Status.COMPLETED, restore.error_message
    assert restore.report["masked"] == {"public.people.mail": 500}
    assert "masked public.people.mail: 500" in said(restore) and "canary" not in said(restore)
    found = site.server.psql("SELECT mail, kept FROM people", staging.database_name)
    assert "canary" not in found and "@example.com" in found and "kept" in found


def test_the_same_backup_goes_unmasked_where_there_are_no_rules(
    site: Site, people: Database, fresh_database: Fresh
) -> None:
    plain = register(site.server, fresh_database(site.server))
    restore = restore_into(plain, back_up(people))
    assert "masked" not in restore.report
    assert "canary" in site.server.psql("SELECT mail FROM people", plain.database_name)


@pytest.mark.parametrize("rules", [[], [MAIL, {**MAIL, "column": "kept"}]])
def test_rules_that_were_changed_meanwhile_stop_the_restore(
    rules: list[dict[str, str]], site: Site, people: Database, staging: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed_first(*, kind_name: str, job_id: str) -> None:
        if kind_name == "restore":
            save_masking(database=staging, rules=rules)
        run_job(kind_name=kind_name, job_id=job_id)

    backup = back_up(people)
    monkeypatch.setattr("tests.room.run_job", changed_first)
    restore = restore_into(staging, backup)
    assert (restore.status, restore.error_code) == (Status.FAILED, "masking_changed")
    assert tables(site, staging) == "0"


def test_a_rule_that_cannot_be_followed_fails_the_restore(site: Site, people: Database, staging: Database) -> None:
    """It fails, says so, and commits nothing."""
    save_masking(database=staging, rules=[MAIL, {**MAIL, "column": "absent"}])
    restore = restore_into(staging, back_up(people))
    assert (restore.status, restore.error_code) == (Status.FAILED, "masking_failed")
    assert "absent" in restore.error_message and "canary" not in said(restore)
    assert tables(site, staging) == "0"


def test_a_conflicting_target_fails_and_says_so(site: Site, people: Database, staging: Database) -> None:
    """Something of the same name is there, and nobody confirmed that it may go."""
    site.server.psql("CREATE TABLE people (id int); INSERT INTO people VALUES (1)", staging.database_name)
    restore = restore_into(staging, back_up(people))
    assert (restore.status, restore.error_code) == (Status.FAILED, "target_not_empty")
    assert site.server.psql("SELECT * FROM people", staging.database_name) == "1"


def test_a_kill_while_masking_commits_nothing(site: Site, people: Database, staging: Database) -> None:
    dumped = dump_of(build_engine(database=people))
    site.server.psql("CREATE TABLE own (id int)", staging.database_name)
    request = RestoreRequest(guard=RecordingGuard(), drop_existing=True, masking=(Mask(**MAIL),))
    raised: list[BackupError] = []

    def restore() -> None:
        try:
            build_engine(database=staging).restore([dumped.source()], request)
        except BackupError as error:
            raised.append(error)

    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with closing(_connected(site.server, staging)) as held:
        held.cursor().execute("SELECT pg_advisory_lock(42)")
        thread = threading.Thread(target=restore)
        thread.start()
        until(lambda: site.server.psql(waiting, staging.database_name) == "1", seconds=60, what=lambda: str(raised))
        assert tables(site, staging) == "1"  # nobody sees a row while it is masked
        for child in psutil.Process().children(recursive=True):
            if child.name() == "psql":
                child.kill()
        thread.join(60)
    assert raised and "SIGKILL" in raised[0].message
    until(lambda: _sessions(site, staging) == "0", seconds=60)
    assert (
        site.server.psql(
            "SELECT string_agg(relname, ',') FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace",
            staging.database_name,
        )
        == "own"
    )


def _sessions(site: Site, database: Database) -> str:
    return site.server.psql(
        f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database.database_name}' AND pid <> pg_backend_pid()"
    )


def _connected(server: PostgresServer, database: Database) -> psycopg2.extensions.connection:
    found: psycopg2.extensions.connection = psycopg2.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, dbname=database.database_name
    )
    return found
