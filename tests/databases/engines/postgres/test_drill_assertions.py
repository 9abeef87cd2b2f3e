"""Assertions ask the restored database for one number or boolean, and cannot change it."""

from decimal import Decimal
from typing import Any

import pytest

from databases.engines.postgres import assertion
from databases.engines.postgres.engine import PostgresEngine
from jobs.errors import BackupError
from tests.contracts.engines import RecordingGuard
from tests.databases.engines.postgres.conftest import engine_to
from tests.servers.postgres import PostgresServer


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        {"sql": "SELECT count(*) > 0 FROM orders;"},
        "  -- how many; really\n with a as (select 1) /* ; */ select * from a ; ",
        "SELECT count(*) FROM t WHERE a = 'it''s; fine' AND b = $x$ ; ' $x$ AND \"c;\" = E'\\';'",
        "(SELECT 1) UNION (SELECT 1)",
    ],
)
def test_a_single_question_has_no_fault(query: Any) -> None:
    assert PostgresEngine.assertion_fault(query) == ""


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (None, "a text of SQL"),
        ({"sql": 3}, "a text of SQL"),
        ({"sql": "SELECT 1", "more": 1}, "a text of SQL"),
        (" \n", "empty"),
        ("SELECT " + "1" * assertion.LONGEST, "longer than 10000"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT 'a'; COMMIT; DROP TABLE t", "one statement"),
        ("SELECT 1\0", "NUL"),
        ("DELETE FROM t", "Give a SELECT"),
        ("-- only a comment", "Give a SELECT"),
    ],
)
def test_a_fault_is_said_in_a_sentence(query: Any, words: str) -> None:
    assert words in PostgresEngine.assertion_fault(query)


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT true", True),
        ("SELECT 3", 3),
        ("SELECT 0.5::float8", 0.5),
        ("SELECT sum(i) FROM generate_series(1, 4) i", 10),
        ("SELECT 12345678901234567890::numeric", 12345678901234567890),
        ("SELECT avg(i) FROM generate_series(1, 2) i -- the mean", 1.5),
        ("SELECT NULL::int;", None),
        ("SELECT '50%' LIKE '%0%%'", True),
    ],
)
def test_numbers_and_booleans_are_answers(sql: str, answer: Any, postgres18: PostgresServer) -> None:
    value = engine_to(postgres18, "postgres").evaluate({"sql": sql}, RecordingGuard())
    assert (value, type(value)) == (answer, type(answer))
    assert not isinstance(value, Decimal)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT 'text'", "something else"),
        ("SELECT 1, 2", "2 columns"),
        ("SELECT 1 WHERE false", "no row"),
        ("SELECT generate_series(1, 2)", "several rows"),
        ("SELECT count(*) FROM not_there", "not_there"),
        ("SELECT lo_create(777)", "read-only"),
        ("WITH gone AS (DELETE FROM pg_largeobject_metadata RETURNING 1) SELECT count(*) FROM gone", "WITH"),
        ("SELECT 1; DROP TABLE t", "one statement"),
        ("SELECT count(*) FROM pg_sleep(60)", "statement timeout"),
    ],
)
def test_anything_else_fails_and_changes_nothing(
    sql: str, words: str, postgres18: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assertion, "LIMIT", "2s")
    with pytest.raises(BackupError) as raised:
        engine_to(postgres18, "postgres").evaluate(sql, RecordingGuard())
    assert raised.value.code == "assertion"
    assert words in raised.value.message
    assert postgres18.psql("SELECT count(*) FROM pg_largeobject_metadata WHERE oid = 777") == "0"
