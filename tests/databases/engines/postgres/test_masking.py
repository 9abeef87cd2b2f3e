"""A restore masks before it commits: nobody reads a row as it was, and what cannot be masked is not restored."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from databases.engines.base import RestoreReport, RestoreRequest
from databases.engines.postgres.engine import PostgresEngine
from databases.engines.postgres.masking import masking_sql
from databases.engines.proof import Mask
from jobs.errors import BackupError
from tests.contracts.engines import Dumped, RecordingGuard, dump_of
from tests.databases.engines.postgres.compare import schema_of
from tests.databases.engines.postgres.conftest import engine_to
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerError

FreshDatabase = Callable[[PostgresServer], str]

PEOPLE = '''
CREATE SCHEMA "odd $backupsite$ 'schema'";
CREATE DOMAIN mail AS text CHECK (VALUE ~ '@');
CREATE TABLE people (id bigint PRIMARY KEY, code uuid UNIQUE, mail mail UNIQUE, name varchar(12) NOT NULL, phone text,
  about text, small smallint, number int, raw bytea, kept text, always int GENERATED ALWAYS AS IDENTITY,
  made text GENERATED ALWAYS AS (upper(about)) STORED);
INSERT INTO people SELECT i, md5(i::text)::uuid, 'canary' || i || '@real.test', 'canary', 'canary ' || i, 'canary'
  || i % 3, i % 100, i, 'canary', 'kept ' || i FROM generate_series(1, 700) i;
INSERT INTO people (id, name) VALUES (9000, 'canary');
CREATE TABLE visits (person bigint REFERENCES people DEFERRABLE, who uuid REFERENCES people (code), at date);
COMMENT ON CONSTRAINT visits_who_fkey ON visits IS 'who it''s';
INSERT INTO visits SELECT i, md5(i::text)::uuid, '2024-01-01'::date + i FROM generate_series(1, 500) i;
CREATE VIEW shown AS SELECT name, mail FROM people;
CREATE MATERIALIZED VIEW later AS SELECT mail FROM shown WITH DATA;
CREATE MATERIALIZED VIEW latest AS SELECT mail FROM later WITH DATA;
CREATE MATERIALIZED VIEW empty_one AS SELECT mail FROM later WITH NO DATA;
CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$a trigger fired$$; END';
CREATE TRIGGER loud BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION loud();
CREATE TRIGGER always BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION loud();
ALTER TABLE people ENABLE ALWAYS TRIGGER always;
CREATE RULE away AS ON UPDATE TO visits DO INSTEAD NOTHING;
CREATE TABLE log (id int, at date, what text) PARTITION BY RANGE (at);
CREATE TABLE log_old PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE log_new PARTITION OF log DEFAULT;
INSERT INTO log SELECT i, '2020-12-01'::date + i, 'canary' FROM generate_series(1, 60) i;
CREATE TABLE base (what text); CREATE TABLE derived (more int) INHERITS (base);
INSERT INTO base VALUES ('canary'); INSERT INTO derived VALUES ('canary', 1);
CREATE TABLE "odd $backupsite$ 'schema'"."a.b ""c""" ("Col '$backupsite$ %s" text, tidy text);
INSERT INTO "odd $backupsite$ 'schema'"."a.b ""c""" VALUES ('canary', 'tidy');
'''
ODD = "odd $backupsite$ 'schema'.a.b \"c\""


@pytest.fixture(scope="module")
def dumped(postgres: Callable[[int], PostgresServer]) -> Dumped:
    server, name = postgres(16), f"masking_source_{secrets.token_hex(4)}"  # other processes of the run share the server
    server.create_database(name)
    server.psql(PEOPLE, name)
    try:
        return dump_of(engine_to(server, name))
    finally:
        server.drop_database(name)


@pytest.fixture(scope="module")
def unmasked(postgres: Callable[[int], PostgresServer], dumped: Dumped) -> Iterator[str]:
    server, name = postgres(16), f"masking_none_{secrets.token_hex(4)}"
    server.create_database(name)
    restored(engine_to(server, name), dumped)
    yield name
    server.drop_database(name)


@pytest.fixture
def server(postgres: Callable[[int], PostgresServer]) -> PostgresServer:
    return postgres(16)


@pytest.fixture
def back(server: PostgresServer, fresh_database: FreshDatabase) -> str:
    return fresh_database(server)


def restored(engine: PostgresEngine, dumped: Dumped, *masks: Mask, include: tuple[str, ...] = ()) -> RestoreReport:
    request = RestoreRequest(guard=RecordingGuard(), masking=masks, include=include)
    return engine.restore([dumped.source()], request)


def refused(server: PostgresServer, name: str, dumped: Dumped, *masks: Mask) -> BackupError:
    """The restore fails and leaves the target as empty as it was."""
    with pytest.raises(BackupError) as raised:
        restored(engine_to(server, name), dumped, *masks)
    assert server.psql("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace", name) == "0"
    assert "canary" not in f"{raised.value}"
    return raised.value


def people(column: str, method: str, value: str = "") -> Mask:
    return Mask("public.people", column, method, value)


def test_nothing_of_what_was_masked_is_left(server: PostgresServer, back: str, dumped: Dumped) -> None:
    report = restored(
        engine_to(server, back),
        dumped,
        people("code", "hash"),
        Mask("public.visits", "who", "hash"),
        people("mail", "fake", "email"),
        people("name", "fake", "name"),
        people("phone", "fake", "phone"),
        people("about", "fake", "text"),
        people("small", "hash"),
        people("number", "hash"),
        people("raw", "null"),
        Mask("public.log", "what", "fixed", "it's $backupsite$ \\ here"),
        Mask("public.base", "what", "hash"),
        Mask(ODD, "Col '$backupsite$ %s", "fixed", "'); DROP TABLE people; --"),
    )
    odd = r'''"odd $backupsite$ 'schema'"."a.b ""c"""'''
    tables = ["people", "log", "base", "later", "latest", odd]
    rows = "".join(server.psql(f"SELECT * FROM {table}", back) for table in tables)
    assert "canary" not in rows
    assert "tidy" in rows and "kept 17" in rows and "it's $backupsite$ \\ here" in rows
    assert report.masked["public.people.mail"] == 701
    assert (report.masked["public.log.what"], report.masked["public.base.what"]) == (60, 2)

    def ask(sql: str) -> str:
        return server.psql(sql, back)

    assert ask("SELECT count(*) FROM people JOIN visits ON who = code") == "500"  # still joined, by new values
    assert ask("SELECT count(*) FROM people WHERE code = md5(id::text)::uuid") == "0"
    assert ask("SELECT count(DISTINCT mail) FROM people WHERE mail ~ '^user.[0-9a-f]{12}@example.com$'") == "700"
    assert ask("SELECT count(*) FROM people WHERE mail IS NULL AND code IS NULL AND phone IS NULL") == "1"
    assert ask("SELECT count(DISTINCT about) FROM people") == "3"  # equal values stay equal
    assert ask("SELECT count(DISTINCT small) > 90, min(small) >= 0 FROM people") == "t|t"
    assert ask("SELECT count(*) FROM people WHERE phone !~ '^\\+999[0-9]{12}$'") == "0"
    assert ask("SELECT bool_and(made IS NOT DISTINCT FROM upper(about)) FROM people") == "t"
    assert ask("SELECT array_agg(mail ORDER BY mail) FROM latest") == ask(
        "SELECT array_agg(mail ORDER BY mail) FROM people"
    )


def test_the_schema_is_as_it_was(
    server: PostgresServer, back: str, dumped: Dumped, fresh_database: FreshDatabase
) -> None:
    plain = fresh_database(server)
    restored(engine_to(server, plain), dumped)
    rules = (people("code", "hash"), Mask("public.visits", "who", "hash"), Mask("public.log", "what", "null"))
    restored(engine_to(server, back), dumped, *rules)
    assert schema_of(server, back) == schema_of(server, plain)


def test_two_restores_mask_otherwise(
    server: PostgresServer, back: str, dumped: Dumped, fresh_database: FreshDatabase
) -> None:
    other = fresh_database(server)
    for name in (back, other):
        restored(engine_to(server, name), dumped, people("kept", "hash"))
    hashes = "SELECT kept FROM people WHERE id = 1"
    assert len(server.psql(hashes, back)) == 64
    assert server.psql(hashes, back) != server.psql(hashes, other)


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        ([Mask("public.nobody", "mail", "null")], "there is no such table"),
        ([people("nothing", "null")], "no such column"),
        ([people("name", "null")], "NOT NULL"),
        ([people("made", "hash")], "generated"),
        ([people("always", "hash")], "ALWAYS AS IDENTITY"),
        ([Mask("public.shown", "mail", "null")], "only tables are masked"),
        ([Mask("public.latest", "mail", "null")], "only tables are masked"),
        ([Mask("public.visits", "at", "hash")], "no hash fits into date"),
        ([people("number", "fake", "name")], "fake masks texts"),
        ([people("name", "fake", "email")], "too short"),
        ([people("mail", "hash")], "violates check constraint"),
        ([people("kept", "null"), people("number", "fixed", "x")], "invalid input syntax"),
        ([people("code", "fixed", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")], "people_code_key"),
        ([people("code", "hash")], "visits_who_fkey"),
        ([Mask("public.log", "at", "fixed", "2030-01-01")], "partition constraint"),
    ],
)
def test_what_cannot_be_masked_is_said(masks: list[Mask], words: str, server: PostgresServer, unmasked: str) -> None:
    """Asked of rows that are there, in a transaction of their own: the restore would end here and commit nothing."""
    with pytest.raises(ServerError) as raised:
        server.psql(f"BEGIN; {masking_sql(masks, entries=(), only=None)} COMMIT", unmasked)
    assert "backupsite: masking" in str(raised.value) and words in str(raised.value)
    assert "canary" not in str(raised.value)


def test_a_restore_that_cannot_mask_leaves_nothing(server: PostgresServer, back: str, dumped: Dumped) -> None:
    error = refused(server, back, dumped, people("about", "null"), people("code", "hash"))
    assert (error.code, error.permanent) == ("masking_failed", True)
    assert "visits_who_fkey" in error.message


def test_a_fixed_value_is_cut_as_a_cast_cuts_it(server: PostgresServer, unmasked: str) -> None:
    sql = masking_sql([people("name", "fixed", "far too long for it")], entries=(), only=None)
    assert server.psql(f"BEGIN; {sql} SELECT DISTINCT name FROM public.people; ROLLBACK", unmasked) == "far too long"


def test_a_target_in_use_keeps_its_contents_when_masking_fails(
    server: PostgresServer, back: str, dumped: Dumped
) -> None:
    server.psql("CREATE TABLE public.people AS SELECT 'own' AS mail", back)
    request = RestoreRequest(guard=RecordingGuard(), drop_existing=True, masking=(people("nothing", "null"),))
    with pytest.raises(BackupError):
        engine_to(server, back).restore([dumped.source()], request)
    assert server.psql("SELECT * FROM people", back) == "own"


def test_a_conflicting_target_fails_with_masking_too(server: PostgresServer, back: str, dumped: Dumped) -> None:
    """The restore does not go on over an SQL error, and the mask is not the last thing it looks at."""
    broken = replace(dumped, data=dumped.data.replace(b"CREATE TABLE public.visits (", b"CREATE TABLE public.people ("))
    assert broken.data != dumped.data
    error = refused(server, back, broken, people("mail", "null"))
    assert "already exists" in error.message


@pytest.mark.parametrize(
    ("item", "chosen", "there"),
    [
        ("public.log", "log_old", "CREATE TABLE log (id int, at date, what text) PARTITION BY RANGE (at)"),
        ("public.base", "derived", "CREATE TABLE base (what text); INSERT INTO base VALUES ('own')"),
    ],
)
def test_a_part_of_a_masked_table_is_masked(
    item: str, chosen: str, there: str, server: PostgresServer, back: str, dumped: Dumped
) -> None:
    """The rule names the whole, the restore takes one part of it; a partition comes without being attached."""
    server.psql(there, back)
    report = restored(engine_to(server, back), dumped, Mask(item, "what", "fixed", "x"), include=(chosen,))
    assert server.psql(f"SELECT DISTINCT what FROM {chosen}", back) == "x"
    assert report.masked[f"{item}.what"] == (1 if chosen == "derived" else 30)
    if chosen == "derived":
        assert server.psql("SELECT what FROM ONLY base", back) == "own"


def test_what_was_not_selected_is_not_masked_again(server: PostgresServer, back: str, dumped: Dumped) -> None:
    server.psql("CREATE TABLE people (mail text); INSERT INTO people VALUES ('own')", back)
    report = restored(
        engine_to(server, back), dumped, people("mail", "null"), Mask("public.log", "what", "null"), include=("log",)
    )
    assert server.psql("SELECT mail FROM people", back) == "own"
    assert list(report.masked) == ["public.log.what"]
    assert any("public.people.mail" in note for note in report.notes)


def test_a_restore_of_many_transactions_is_not_masked(server: PostgresServer, back: str, dumped: Dumped) -> None:
    many = replace(dumped, manifest={**dumped.manifest, "relations": 10**9})
    assert refused(server, back, many, people("mail", "null")).code == "unsupported"


def test_a_plain_dump_is_masked_unless_it_commits_by_itself(
    server: PostgresServer, back: str, fresh_database: FreshDatabase
) -> None:
    name = fresh_database(server)
    server.psql("CREATE TABLE people (mail text); INSERT INTO people VALUES ('canary')", name)
    dumped = dump_of(engine_to(server, name, format="plain"))
    blobs = replace(dumped, manifest={**dumped.manifest, "large_objects": 1})
    assert refused(server, back, blobs, people("mail", "null")).code == "unsupported"
    restored(engine_to(server, back), dumped, people("mail", "fake", "email"))
    assert "@example.com" in server.psql("SELECT mail FROM people", back)


def test_who_is_no_superuser_masks_what_is_theirs(server: PostgresServer, back: str, dumped: Dumped) -> None:
    server.psql("CREATE ROLE masker LOGIN PASSWORD 'masker'")
    try:
        server.psql(f"ALTER DATABASE {back} OWNER TO masker; GRANT ALL ON SCHEMA public TO masker", back)
        engine = engine_to(server, back)
        low = PostgresEngine(
            replace(engine.connection, username="masker", password="masker"), engine.options, engine.settings
        )
        restored(low, dumped, people("code", "hash"), Mask("public.visits", "who", "hash"))
        assert server.psql("SELECT count(*) FROM people JOIN visits ON who = code", back) == "500"
    finally:
        server.psql("DROP OWNED BY masker", back)
        server.psql(f"ALTER DATABASE {back} OWNER TO {server.user}")
        server.psql("DROP ROLE masker")


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (Mask("people", "mail", "null"), "schema"),
        (Mask("public.people", "", "null"), "column"),
        (Mask("public.people", "mail", "shred"), "method"),
        (Mask("public.people", "mail", "fake", "iban"), "made up"),
        (Mask("public.people", "mail", "hash", "x"), "no value"),
        (Mask("public.people", "mail", "fixed", "a\0b"), "NUL"),
    ],
)
def test_a_rule_of_the_wrong_shape_is_told(mask: Mask, words: str) -> None:
    assert words in PostgresEngine.mask_fault(mask)
