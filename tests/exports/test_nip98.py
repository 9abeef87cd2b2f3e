"""Requests signed after NIP-98: what is taken, and what each other thing is refused for."""

import copy
import csv
import hashlib
import json
import time
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exports.nip98 import MAX_TOKEN, Rules, SignedRequest, verify_token
from exports.nostr.event import Event, event_id, is_signed, parse_event
from jobs.errors import BackupError
from tests.exports.signing import ORIGIN, User, as_token
from tests.servers.nostr_tools import sign

ADA = User("ada")
NOW = 1_800_000_000
TARGET = "/api/backup?limit=5&a=%2F"
BODY = b'{"backupType": "full"}'
GET, POST = SignedRequest("GET", TARGET, b""), SignedRequest("POST", "/api/backup", BODY)
RULES = Rules([ORIGIN, "http://backup.lan:8000"], window_s=60)
VECTORS = list(csv.DictReader(Path(__file__).with_name("bip340.csv").read_text().splitlines()))
# Published by others: https://github.com/nostr-protocol/nips/blob/master/98.md, and the test of a service that signs in
# with `nak`.
OF_THE_NIP = {
    "id": "fe964e758903360f28d8424d092da8494ed207cba823110be3a57dfe4b578734",
    "pubkey": "63fe6318dc58583cfe16810f86dd09e18bfd76aabc24a0081ce2856f330504ed",
    "content": "",
    "kind": 27235,
    "created_at": 1682327852,
    "tags": [["u", "https://api.snort.social/api/v1/n5sp/list"], ["method", "GET"]],
    "sig": "5ed9d8ec958bc854f997bdc24ac337d005af372324747efe4a00e24f4c30437f"
    "f4dd8308684bed467d9d6be3e5a517bb43b1732cc7d33949a3aaf86705c22184",
}
PUBLISHED = {
    "kind": 27235,
    "id": "c67244e7c080266b4f76ee00b381e92d3b24b502a05b74436d1793abc80423a3",
    "pubkey": "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    "created_at": 1763746871,
    "tags": [["u", "https://example.com/api/test"], ["method", "GET"]],
    "content": "",
    "sig": "9dda1cb882ee998adc331aa9333033655d818fcf5ab3b82bad02eb69cfe02bbc"
    "49b8b0b98d45f24840a483f476633befe3daa951644bc1e0624c41a2cf65b384",
}


def verify(token: str, request: SignedRequest = GET, rules: Rules = RULES, *, now: float = NOW) -> Event:
    return verify_token(token, request, rules, now=now)


def refused(token: str, request: SignedRequest = GET, rules: Rules = RULES, *, now: float = NOW) -> str:
    """The name of the check that failed."""
    with pytest.raises(BackupError) as error:
        verify(token, request, rules, now=now)
    assert error.value.permanent
    return error.value.code.removeprefix("nip98_")


def event(request: SignedRequest = GET, **changes: Any) -> dict[str, Any]:
    return ADA.event(request.method, request.target, request.body, **{"created_at": NOW, **changes})


def with_tags(*tags: list[str]) -> dict[str, Any]:
    return event(tags=[["u", ORIGIN + TARGET], ["method", "GET"], *tags])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["index"])
def test_bip_340_s_own_vectors(vector: dict[str, str]) -> None:
    signed = is_signed(
        pubkey=vector["public key"].lower(),
        message=bytes.fromhex(vector["message"]),
        signature=bytes.fromhex(vector["signature"]),
    )
    assert signed == (vector["verification result"] == "TRUE")


def test_there_are_nineteen_vectors_and_some_fail() -> None:
    assert len(VECTORS) == 19
    assert sum(vector["verification result"] == "FALSE" for vector in VECTORS) == 10


def test_an_event_that_somebody_published_is_taken() -> None:
    rules = Rules(["https://example.com"], window_s=60)
    assert verify(as_token(PUBLISHED), SignedRequest("GET", "/api/test", b""), rules, now=1763746871 + 59).pubkey


def test_the_example_of_the_nip_is_refused_for_its_id() -> None:
    rules = Rules(["https://api.snort.social"], window_s=60)
    assert refused(as_token(OF_THE_NIP), SignedRequest("GET", "/api/v1/n5sp/list", b""), rules, now=1682327852) == "id"


def test_the_tokens_of_nostr_tools_are_taken() -> None:
    """Live: a JavaScript client of others signs with a key of its own."""
    body = {"backupType": "selective", "metadata": {"select": ["posts"], "note": 'für "Ada" \\ \n 🦉'}}
    signed = sign([(f"{ORIGIN}/api/backup", "POST", body), (f"{ORIGIN}{TARGET}", "get", None)])
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()  # as JSON.stringify writes it
    tokens = [token.removeprefix("Nostr ") for token in signed.tokens]
    asked = SignedRequest("POST", "/api/backup", raw)
    assert verify(tokens[0], asked, now=time.time()).pubkey == signed.pubkey
    assert verify(tokens[1], GET, now=time.time()).pubkey == signed.pubkey
    assert refused(tokens[0], SignedRequest("POST", "/api/backup", raw + b" "), now=time.time()) == "payload"
    assert refused(tokens[1], now=time.time() + 120) == "time"


def test_a_signed_request_tells_whose_it_is() -> None:
    assert verify(as_token(event())).pubkey == ADA.pubkey
    assert verify(as_token(event(POST)), POST).pubkey == ADA.pubkey


def test_base64_is_taken_with_and_without_its_padding() -> None:
    for text in (json.dumps(event(content=" " * length)) for length in range(3)):
        token = as_token(text)
        assert verify(token).id == verify(token.rstrip("=")).id
        assert refused(f"{token}=") == "header" or not token.endswith("=")


@pytest.mark.parametrize(
    "token",
    ["=", "*", "AAAAA", "ä", "A" * (MAX_TOKEN + 1), b64encode(b"\xff\xfe{}").decode(), " eyJ9", "ey J9", "eyJ9\n"],
)
def test_what_is_no_base64_of_a_text_is_refused(token: str) -> None:
    assert refused(token) == "header"


def test_a_token_may_be_so_long_and_no_longer() -> None:
    room = MAX_TOKEN * 3 // 4 - len(json.dumps(event()))
    fits, too_long = as_token(event(content="x" * (room - 20))), as_token(event(content="x" * (room + 20)))
    assert len(fits) <= MAX_TOKEN < len(too_long)
    assert verify(fits).content
    assert refused(too_long) == "header"


def test_another_alphabet_and_other_spare_bits_are_refused() -> None:
    texts = [json.dumps(event(content="~" * length)) for length in range(20)]
    urlsafe = {urlsafe_b64encode(text.encode()).decode() for text in texts} - {as_token(text) for text in texts}
    assert urlsafe
    assert {refused(token) for token in urlsafe} == {"header"}
    spare = next(as_token(text) for text in texts if len(text) % 3 == 1).rstrip("=")
    other = spare[:-1] + chr(ord(spare[-1]) + 1)  # the same bytes
    assert b64decode(other + "==") == b64decode(spare + "==")
    assert verify(spare).pubkey == ADA.pubkey
    assert refused(other) == "header"


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", "7", '"x"', "{", "{}", "NaN", "[" * 4000,
        '{"a":' * 700, "[" * 2000 + "]" * 2000, '{"id": 1, "id": 2}', "\ufeff{}",
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(text: str) -> None:
    assert refused(as_token(text)) == "event"


def _changed(**changes: Any) -> dict[str, Any]:
    return {**event(), **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "A" * 64}, {"id": "a" * 63}, {"id": None}, {"pubkey": "AB" * 32}, {"pubkey": "a" * 64 + "\n"},
        {"pubkey": f"0x{'a' * 62}"}, {"sig": "a" * 127}, {"sig": "F" * 128}, {"created_at": str(NOW)},
        {"created_at": float(NOW)}, {"created_at": True}, {"created_at": -1}, {"created_at": 10**400},
        {"kind": "27235"},
        {"kind": 27235.0}, {"tags": None}, {"tags": [["u", 7]]}, {"tags": [[["u"]]]}, {"tags": {"u": "x"}},
        {"content": None}, {"content": ["x"]}, {"extra": 1},
    ],
)  # fmt: skip
def test_an_event_of_another_shape_is_refused(changes: dict[str, Any]) -> None:
    assert refused(as_token(_changed(**changes))) == "event"


def test_an_event_without_one_of_its_members_is_refused() -> None:
    for name in event():
        assert refused(as_token({key: value for key, value in event().items() if key != name})) == "event"


def test_a_name_that_stands_twice_is_refused_even_with_the_same_value() -> None:
    text = json.dumps(event())
    assert refused(as_token(text[:-1] + ', "kind": 27235}')) == "event"


@pytest.mark.parametrize("kind", [1, 22242, 27234, 24242, 0])
def test_another_kind_is_refused(kind: int) -> None:
    assert refused(as_token(event(kind=kind))) == "kind"


def test_exactly_one_u_and_one_method_are_wanted_and_no_tag_stands_twice() -> None:
    u, method = ["u", ORIGIN + TARGET], ["method", "GET"]
    for tags in ([], [u], [method], [u, u, method], [u, method, method], [u, method, ["x", "1"], ["x", "2"]]):
        assert refused(as_token(event(tags=tags))) == "tags"
    assert refused(as_token(with_tags([], []))) == "tags"
    assert verify(as_token(with_tags(["x", "1"], ["y"], []))).id


@pytest.mark.parametrize(
    ("away", "taken"), [(0, True), (60, True), (-60, True), (61, False), (-61, False), (10**8, False)]
)
def test_the_window_of_time_is_the_same_both_ways(away: int, taken: bool) -> None:
    token = as_token(event(created_at=NOW + away))
    assert verify(token).id if taken else refused(token) == "time"


@pytest.mark.parametrize("window", [1, 300])
def test_the_window_is_a_setting(window: int) -> None:
    rules = Rules([ORIGIN], window_s=window)
    assert verify(as_token(event(created_at=NOW - window)), rules=rules).id
    assert refused(as_token(event(created_at=NOW - window - 1)), rules=rules) == "time"


@pytest.mark.parametrize(
    "url",
    [
        "https://b.example.com/api/backup", "https://b.example.com/api/backup?limit=5", "/api/backup?limit=5&a=%2F",
        "http://b.example.com/api/backup?limit=5&a=%2F", "https://B.example.com/api/backup?limit=5&a=%2F",
        "https://b.example.com:443/api/backup?limit=5&a=%2F", "https://b.example.com/api/backup?limit=5&a=/",
        "https://b.example.com/api/backup?limit=5&a=%2f", "https://b.example.com/api/backup/?limit=5&a=%2F",
        "https://b.example.com/api/backup?a=%2F&limit=5", "https://b.example.com/api/backup?limit=5&a=%2F#x",
        "https://evil.example.com/api/backup?limit=5&a=%2F", "https://b.example.com@evil.example.com/api/backup", "",
    ],
)  # fmt: skip
def test_another_address_is_refused(url: str) -> None:
    assert refused(as_token(event(tags=[["u", url], ["method", "GET"]]))) == "url"


def test_every_configured_origin_is_taken_and_without_any_nobody_gets_in() -> None:
    other = event(tags=[["u", f"http://backup.lan:8000{TARGET}"], ["method", "GET"]])
    assert verify(as_token(other)).id
    assert refused(as_token(event()), rules=Rules([], window_s=60)) == "url"


def test_a_host_in_the_request_line_is_the_client_s_word() -> None:
    asked = SignedRequest("GET", f"https://evil.example.com{TARGET}", b"")
    assert verify(as_token(event()), asked).id
    lured = event(tags=[["u", f"https://evil.example.com{TARGET}"], ["method", "GET"]])
    assert refused(as_token(lured), asked) == "url"


def test_another_method_is_refused() -> None:
    for method in ("POST", "HEAD", "", "GET ", "ｇｅｔ"):
        assert refused(as_token(event(tags=[["u", ORIGIN + TARGET], ["method", method]]))) == "method"
    long_s = [["u", f"{ORIGIN}/api/backup"], ["method", "poſt"]]  # whose capital is S
    assert refused(as_token(event(tags=long_s)), SignedRequest("POST", "/api/backup", b"")) == "method"
    assert verify(as_token(event(tags=[["u", ORIGIN + TARGET], ["method", "get"]]))).id


def test_a_body_is_signed_too() -> None:
    digest = hashlib.sha256(BODY).hexdigest()
    u, method = ["u", f"{ORIGIN}/api/backup"], ["method", "POST"]

    def token(*more: list[str]) -> str:
        return as_token(event(tags=[u, method, *more]))

    assert verify(token(["payload", digest]), POST).id
    assert refused(token(), POST) == "payload"
    assert refused(token(["payload", digest.upper()]), POST) == "payload"
    assert refused(token(["payload"]), POST) == "payload"
    assert refused(token(["payload", digest], ["payload", digest]), POST) == "tags"
    lenient = Rules([ORIGIN], window_s=60, payload_required=False)
    assert verify(token(), POST, lenient).id
    assert refused(token(["payload", "0" * 64]), POST, lenient) == "payload"
    assert refused(token(["payload", digest]), SignedRequest("POST", "/api/backup", b"")) == "payload"


def test_a_foreign_id_and_a_foreign_signature_are_refused() -> None:
    bob = User("bob")
    assert refused(as_token(_changed(id="0" * 64))) == "id"
    assert refused(as_token(_changed(pubkey=bob.pubkey))) == "id"
    stolen = bob.sealed(event())
    assert refused(as_token(stolen)) == "signature"
    assert refused(as_token(_changed(sig="0" * 128))) == "signature"


def test_a_key_that_is_no_point_of_the_curve_signs_nothing() -> None:
    nobody = {**event(), "pubkey": "0" * 64}
    nobody["id"] = event_id(parse_event(nobody))
    assert refused(as_token(nobody)) == "signature"


SAMPLE = event(POST)  # the same for every example


def _hexes(draw: Callable[..., Any], text: str) -> str:
    place = draw(st.integers(0, len(text) - 1))
    other: str = draw(st.sampled_from(sorted(set("0123456789abcdef") - {text[place]})))
    return text[:place] + other + text[place + 1 :]


@st.composite
def mutations(draw: Any) -> dict[str, Any]:
    """The valid event with one thing changed, of the same shape."""
    found = copy.deepcopy(SAMPLE)
    name = draw(st.sampled_from(sorted(found)))
    match name:
        case "id" | "pubkey" | "sig":
            found[name] = _hexes(draw, found[name])
        case "created_at" | "kind":
            found[name] += draw(st.integers(-59, 59).filter(bool))
        case "content":
            found[name] = draw(st.text(min_size=1, max_size=20))
        case _:
            tags = found["tags"]
            place = draw(st.integers(0, len(tags) - 1))
            item = draw(st.integers(0, len(tags[place]) - 1))
            tags[place][item] = draw(st.text(max_size=80).filter(lambda text: text != tags[place][item]))
    return found


@given(mutations())
@settings(max_examples=150, deadline=None)
def test_an_event_of_which_anything_was_changed_is_refused(mutated: dict[str, Any]) -> None:
    assert refused(as_token(mutated), POST)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_token_of_which_any_letter_was_changed_is_refused(data: st.DataObject) -> None:
    token = as_token(json.dumps(SAMPLE, separators=(",", ":"))).rstrip("=")
    place = data.draw(st.integers(0, len(token) - 1))
    kept = data.draw(st.booleans())  # else the letter is left out
    letters = st.characters(min_codepoint=32, max_codepoint=126).filter(
        lambda letter: letter not in ("=", token[place])
    )
    changed = token[:place] + (data.draw(letters) if kept else "") + token[place + 1 :]
    assert refused(changed, POST)


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=4), st.binary(max_size=40))
@settings(max_examples=80, deadline=None)
def test_whatever_was_signed_is_taken(content: str, words: list[str], body: bytes) -> None:
    asked = SignedRequest("POST", "/api/backup", body)
    tags = [["u", f"{ORIGIN}/api/backup"], ["method", "POST"], ["payload", hashlib.sha256(body).hexdigest()]]
    tags.append(["words", *words])
    assert verify(as_token(event(asked, content=content, tags=tags)), asked).content == content
