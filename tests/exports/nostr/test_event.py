"""Events after NIP-01: what is one, and whether it is true."""

import hashlib
import json
from typing import Any

import pytest

from exports.nostr.event import event_id, event_ids, line_of, parse_event, serialised, verify_event
from jobs.errors import BackupError
from tests.exports.events import Author

ALICE = Author("alice")


def test_a_signed_event_is_true() -> None:
    event = parse_event(ALICE.signs("hello", kind=1, tags=[["t", "x"]]))
    verify_event(event)
    assert event.tag_values("t") == ["x"]


def test_the_serialisation_escapes_seven_characters_and_leaves_all_others() -> None:
    content = '\n"\\\r\t\b\f/\x7f\u2028é\U0001f600\x01'
    event = parse_event(ALICE.signs(content, created_at=7, tags=[["e", '"']]))
    escaped = '\\n\\"\\\\\\r\\t\\b\\f/\x7f\u2028é\U0001f600\x01'
    assert serialised(event) == f'[0,"{ALICE.pubkey}",7,1,[["e","\\""]],"{escaped}"]'


@pytest.mark.parametrize("content", ["", "plain", "\x00\x01\x1f", "back\\u0001slash", "line\u2028", "\x7f"])
def test_ids_made_by_javascript_are_taken_too(content: str) -> None:
    made = ALICE.signs(content, created_at=7)
    text = json.dumps([0, ALICE.pubkey, 7, 1, [], content], ensure_ascii=False, separators=(",", ":"))
    other = hashlib.sha256(text.encode()).hexdigest()
    assert other in event_ids(parse_event(made))
    verify_event(parse_event(ALICE.sealed({**made, "id": other})))


def test_no_two_contents_share_an_id() -> None:
    contents = ["\x01", "\\u0001", "\\\\u0001", "u0001", "\x01\\u0001", "\\u0001\x01", "\x0b", "\\u000b"]
    ids = [event_ids(parse_event(ALICE.signs(content, created_at=7))) for content in contents]
    assert len(set().union(*ids)) == sum(len(some) for some in ids)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "A" * 64),
        ("id", "a" * 63),
        ("id", "a" * 64 + "\n"),
        ("id", None),
        ("pubkey", "g" * 64),
        ("sig", "a" * 64),
        ("created_at", True),
        ("created_at", 1.0),
        ("created_at", -1),
        ("created_at", 1 << 53),
        ("kind", "1"),
        ("kind", 65536),
        ("content", None),
        ("tags", {}),
        ("tags", [["a", 1]]),
        ("tags", ["a"]),
    ],
)
def test_a_wrong_member_is_named(name: str, value: Any) -> None:
    with pytest.raises(BackupError) as caught:
        parse_event({**ALICE.signs("x"), name: value})
    assert caught.value.code == "invalid_event"
    assert name in str(caught.value) or name == "tags"


@pytest.mark.parametrize("value", [None, [], "x", 1, {}])
def test_what_is_no_object_with_members_is_no_event(value: Any) -> None:
    with pytest.raises(BackupError) as caught:
        parse_event(value)
    assert caught.value.code == "invalid_event"


def test_another_content_does_not_fit_the_id() -> None:
    with pytest.raises(BackupError) as caught:
        verify_event(parse_event({**ALICE.signs("x"), "content": "y"}))
    assert caught.value.code == "wrong_event_id"


def test_another_authors_signature_is_refused() -> None:
    forged = ALICE.signs("x") | {"pubkey": Author("bob").pubkey}
    forged["id"] = event_id(parse_event(forged))
    with pytest.raises(BackupError) as caught:
        verify_event(parse_event(forged))
    assert caught.value.code == "wrong_signature"


@pytest.mark.parametrize("pubkey", ["0" * 64, "f" * 64, "5" * 64])
def test_what_is_no_public_key_has_signed_nothing(pubkey: str) -> None:
    event = ALICE.signs("x") | {"pubkey": pubkey}
    event["id"] = event_id(parse_event(event))
    with pytest.raises(BackupError) as caught:
        verify_event(parse_event(event))
    assert caught.value.code == "wrong_signature"


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(BackupError) as caught:
        verify_event(parse_event({**ALICE.signs("x"), "content": "\ud800"}))
    assert caught.value.code == "invalid_event"


def test_a_line_holds_the_seven_members_and_reads_back() -> None:
    made = ALICE.signs("é\n\x01", tags=[["d", ""]])
    line = line_of(parse_event({**made, "seen_on": ["wss://x"]}))
    assert line.endswith(b"}\n") and line.count(b"\n") == 1
    assert json.loads(line) == made
