"""Reading config.yaml: every value with its line, variables and files in the place of secrets."""

from pathlib import Path

import pytest

from backupsite.config.reading import ConfigRefused, Document, read_file, read_text


def faults(document: Document) -> list[tuple[int, str]]:
    return [(fault.line, fault.message) for fault in document.faults]


def test_every_value_has_its_line() -> None:
    document = read_text("global:\n  schedule:\n    - 0 2 * * *\n    - 0 3 * * *\ndatabases:\n  - id: shop\n")
    assert document.values == {"global": {"schedule": ["0 2 * * *", "0 3 * * *"]}, "databases": [{"id": "shop"}]}
    assert document.line(("global", "schedule", 1)) == 4
    assert document.line(("databases", 0, "id")) == 6
    assert document.line(("databases", 0, "port")) == 6, "of what would hold it"


def test_variables_are_put_in_and_a_missing_one_is_named() -> None:
    environ = {"HOST": "db", "PORT": "5432", "EMPTY": ""}
    text = "a: ${HOST}\nb: x${PORT}y\nc: ${NONE:-5}\nd: $$${HOST}\ne: ${NONE}\nf: ${EMPTY:-z}\ng: '${HOST}'\n"
    document = read_text(text, environ=environ)
    assert document.values == {"a": "db", "b": "x5432y", "c": "5", "d": "$db", "e": "", "f": "z", "g": "db"}
    assert faults(document) == [(5, "The variable NONE is not set.")]


def test_a_file_is_put_in_without_its_last_line_break(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("p$ss: word\n")
    (tmp_path / "config.yaml").write_text(f"a: file:{tmp_path}/secret\nb: file:secret\nc: file:none\n")
    document = read_file(tmp_path / "config.yaml")
    assert document.values == {"a": "p$ss: word", "b": "p$ss: word", "c": ""}
    assert faults(document) == [(3, "The file it names cannot be read: No such file or directory.")]


def test_what_is_given_twice_is_a_fault() -> None:
    assert faults(read_text("a: 1\nb: 2\na: 3\n")) == [(3, "This is given twice.")]


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\t- x", "- a list", "just text"])
def test_what_is_no_yaml_of_ours_is_refused_with_a_line(text: str) -> None:
    with pytest.raises(ConfigRefused) as raised:
        read_text(text)
    assert raised.value.faults[0].line == 1


def test_tags_that_would_make_objects_are_faults() -> None:
    assert "not a plain value" in faults(read_text("a: !!python/name:os.system x"))[0][1]


@pytest.mark.parametrize(
    "value", ["!!int abc", "!!int ''", "!!float x", "!!bool maybe", '"\\ud800"', '"file:/a\\0b"', "!hush-hush"]
)
def test_a_value_that_cannot_be_is_a_fault_with_its_line_and_is_not_repeated(value: str) -> None:
    [fault] = read_text(f"global:\n  schedule: {value}\n").faults
    assert (fault.line, fault.path) == (2, ("global", "schedule"))
    assert "hush" not in str(fault)


@pytest.mark.parametrize("text", ["password: *hush-hush\n", "a: &hush-hush 1\nb: &hush-hush 2\n", "a: " + "[" * 3000])
def test_what_yaml_itself_refuses_repeats_no_value(text: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        read_text(text)
    assert "hush" not in str(refused.value)


def test_aliases_of_aliases_end_early() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    bomb += "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    with pytest.raises(ConfigRefused, match="too many"):
        read_text(bomb)


def test_what_refers_to_itself_is_a_fault() -> None:
    assert "part of" in faults(read_text("a: &a [*a]\n"))[0][1]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="cannot be read"):
        read_file(tmp_path / "none.yaml")
