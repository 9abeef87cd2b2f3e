"""The registry says every fault of an option at once, and never a secret."""

import pytest

from databases.engines import registry
from databases.engines.base import Connection
from jobs.errors import BackupError


def test_an_unknown_engine_names_the_known_ones() -> None:
    with pytest.raises(BackupError) as raised:
        registry.build("oracle", Connection(), {})
    assert raised.value.code == "unknown_engine"
    assert "postgres" in raised.value.hint


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(BackupError) as raised:
        registry.build("postgres", Connection(), {"bucket": "b", "format": "tar", "schemas": "public"})
    assert raised.value.code == "invalid_options"
    for name in ("bucket", "format", "schemas"):
        assert name in raised.value.message


def test_a_secret_of_the_wrong_type_is_not_repeated() -> None:
    with pytest.raises(BackupError) as raised:
        registry.build("postgres", Connection(), {"sslkey": ["canary"]})
    assert "canary" not in str(raised.value)


def test_lists_arrive_as_tuples_and_defaults_fill_the_rest() -> None:
    engine = registry.build("postgres", Connection(), {"schemas": ["public"]})
    assert engine.options.schemas == ("public",)
    assert engine.options.format == "custom"


def test_option_fields_are_enough_for_a_form() -> None:
    fields = {field.name: field for field in registry.option_fields("postgres")}
    assert fields["format"].choices == ("custom", "plain")
    assert fields["schemas"].type == "list"
    assert fields["sslkey"].secret
    assert registry.secret_option_names("postgres") == {"sslkey"}


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_engine_can_be_built_without_a_database(kind: str) -> None:
    assert registry.build(kind, Connection(), {}).kind == kind
