"""Globs over whole keys."""

import time

import pytest

from databases.engines.s3_bucket.globs import Glob, Selection, faults_of_patterns
from tests.live import busy


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("a.jpg", "a.jpg", True),
        ("a.jpg", "b/a.jpg", False),
        ("*.jpg", "a.jpg", True),
        ("*.jpg", "b/a.jpg", False),
        ("**.jpg", "b/c/a.jpg", True),
        ("images/*/a.jpg", "images/2026/a.jpg", True),
        ("images/*/a.jpg", "images/2026/07/a.jpg", False),
        ("images/**/a.jpg", "images/2026/07/a.jpg", True),
        ("images/", "images/2026/07/a.jpg", True),
        ("images/", "images/", True),
        ("images/", "images-old/a.jpg", False),
        ("?.jpg", "ä.jpg", True),
        ("?.jpg", "/.jpg", False),
        ("?", "", False),
        ("**", "", True),
        ("[ab]", "[ab]", True),
        ("[ab]", "a", False),
        ("**a*b", "a/ab", True),
        ("*\n", "a\n", True),
    ],
)
def test_a_glob_matches_whole_keys(pattern: str, key: str, matches: bool) -> None:
    assert Glob(pattern).matches(key) is matches


def test_no_pattern_takes_long() -> None:
    glob = Glob("**a" * 100 + "b")
    began = time.perf_counter()
    assert not glob.matches("a" * 1024)
    assert time.perf_counter() - began < 2 * busy()


def test_what_is_excluded_is_not_included() -> None:
    selection = Selection(["images/**", "notes.txt"], ["**.tmp"])
    assert [selection.matches(key) for key in ("images/a", "notes.txt", "images/a.tmp", "logs/a")] == [
        True,
        True,
        False,
        False,
    ]
    assert Selection().matches("anything/at all")


@pytest.mark.parametrize(
    ("include", "prefix", "shortest"),
    [
        ([], "", ""),
        (["images/2026/**"], "", "images/2026/"),
        (["images/2026/*", "images/2025/*"], "images/", "images/202"),
        (["logs/*"], "images/", "images/"),
        (["*"], "images/", "images/"),
        (["images/?"], "", "images/"),
    ],
)
def test_a_listing_is_no_longer_than_what_is_included(include: list[str], prefix: str, shortest: str) -> None:
    assert Selection(include).prefix(prefix) == shortest


def test_empty_and_endless_patterns_are_refused() -> None:
    assert faults_of_patterns([""])
    assert faults_of_patterns(["a" * 1025])
    assert faults_of_patterns(["a"] * 101)
    assert not faults_of_patterns(["a" * 1024, "**"])
