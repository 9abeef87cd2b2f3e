"""Names, headers and lines of the artefact."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from databases.engines.s3_bucket.tarformat import Names, decode_key, encode_key, escaped_name, is_safe_name

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(KEYS)
def test_every_key_comes_back_from_its_header(key: str) -> None:
    encoded = encode_key(key)
    assert encoded.isascii()
    assert encoded.isprintable()
    assert decode_key(encoded) == key


@pytest.mark.parametrize(
    "key",
    ["a", "images/2026/a b.jpg", "ümlaut/日本.txt", "a..b/...", "-rf", "x" * 255, "~root", "a:b", ".backupsite2/a"],
)
def test_harmless_keys_are_their_own_names(key: str) -> None:
    assert Names().name_of(key) == key


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "..",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/./b",
        "a//b",
        "folder/",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "a\\b",
        "x" * 256,
        ".backupsite",
        ".backupsite/summary.json",
    ],
)
def test_what_tar_could_not_write_exactly_is_escaped(key: str) -> None:
    assert Names().name_of(key) == escaped_name(key)
    assert escaped_name(key).isascii()


def test_no_member_needs_a_folder_where_another_is_a_file() -> None:
    names, keys = Names(), ["a", "a!", "a/b", "a/b/c", "aa", "aa/b", "b/c", "b/c/d"]
    given_names = [names.name_of(key) for key in keys]
    assert [name == key for name, key in zip(given_names, keys, strict=True)] == [
        True,
        True,
        False,
        False,
        True,
        False,
        True,
        False,
    ]


@given(st.lists(st.text("ab/!.", min_size=1, max_size=6), unique=True, max_size=40))
def test_names_never_clash_whatever_the_keys(keys: list[str]) -> None:
    names = Names()
    found = [names.name_of(key) for key in sorted(keys, key=str.encode)]
    assert len(set(found)) == len(found)
    files = set(found)
    for name in found:
        assert is_safe_name(name) or name.startswith(".backupsite/escaped/")
        parents = name.split("/")[:-1]
        assert not any("/".join(parents[:depth]) in files for depth in range(1, len(parents) + 1))
