"""The events of a user, from relays that are honest, odd, down, or lie."""

import json
import socket as sockets
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

from databases.engines.base import Connection
from exports.nostr.known import OVERLAP_S
from exports.sources.nostr import NostrSource
from exports.sources.registry import build, option_faults
from jobs.errors import BackupError
from tests.exports.events import Author
from tests.exports.reading import EVERYWHERE, OneGuard, Stopped, nostr, read
from tests.exports.relays import OddRelay, odd_relay, say
from tests.servers.process import free_port

ADA, BOB = Author("ada"), Author("bob")
THEN = 1_700_000_000


def notes(count: int, *, author: Author = ADA, at: int = THEN, kind: int = 1, step: int = 1) -> list[dict[str, Any]]:
    return [author.signs(f"{kind}/{number}", kind=kind, created_at=at + number * step) for number in range(count)]


def ids(events: list[dict[str, Any]]) -> list[str]:
    return [event["id"] for event in events]


@pytest.fixture
def relay() -> Iterator[OddRelay]:
    with odd_relay() as found:
        yield found


@pytest.fixture
def other() -> Iterator[OddRelay]:
    with odd_relay() as found:
        yield found


def test_every_event_of_the_author_comes_once_the_newest_first(relay: OddRelay) -> None:
    events = notes(37)
    relay.events = events + notes(5, author=BOB)
    found = read(nostr(relay.url, page_size=10), ADA.pubkey)
    assert found.events() == sorted(events, key=lambda event: -event["created_at"])
    assert found.parts["events.ndjson"]["records"] == 37
    assert found.facts["relays"][0]["state"] == "read"


def test_kinds_are_collections_and_can_be_chosen_by_number(relay: OddRelay) -> None:
    relay.events = notes(5) + notes(3, kind=7) + notes(2, kind=30023)
    source = nostr(relay.url, kinds=["1", "7"])
    assert source.collections == ("kind-1", "kind-7")
    assert list(read(source, ADA.pubkey).files) == ["kind-1.ndjson", "kind-7.ndjson"]
    assert source.chosen(["7", "kind-7", "30023", "events", "x"]) == ("kind-7",)
    assert len(read(source, ADA.pubkey, select=source.chosen(["7"])).events("kind-7")) == 3


def test_any_kind_can_be_chosen_where_none_is_configured(relay: OddRelay) -> None:
    relay.events = notes(5) + notes(2, kind=30023)
    source = nostr(relay.url)
    assert source.chosen(["30023", "events", "kind-070", "70000"]) == ("kind-30023", "events")
    found = read(source, ADA.pubkey, select=source.chosen(["30023"]))
    assert len(found.events("kind-30023")) == 2


def test_duplicates_of_several_relays_are_merged_and_counted(relay: OddRelay, other: OddRelay) -> None:
    events = notes(40)
    relay.events, other.events = events[:30], events[10:]
    found = read(nostr(relay.url, other.url, page_size=7), ADA.pubkey)
    assert sorted(ids(found.events())) == sorted(ids(events))
    assert sum(one["given"] for one in found.facts["relays"]) == 40
    assert sum(one["duplicate"] for one in found.facts["relays"]) >= 20


class TestPages:
    @pytest.mark.parametrize("cap", [1, 3, 10, 1000])
    def test_a_relay_that_caps_limit_is_asked_on(self, relay: OddRelay, cap: int) -> None:
        relay.cap = cap
        relay.events = notes(23)
        assert len(read(nostr(relay.url, page_size=10), ADA.pubkey).events()) == 23

    def test_a_relay_that_ignores_limit_is_fine(self, relay: OddRelay) -> None:
        relay.heeds_limit, relay.cap = False, 25
        relay.events = notes(60)
        assert len(read(nostr(relay.url, page_size=10), ADA.pubkey).events()) == 60

    @pytest.mark.parametrize("crowd", [9, 11, 35, 99])
    def test_a_second_that_fills_pages_is_read_whole(self, relay: OddRelay, crowd: int) -> None:
        relay.cap = 5000
        relay.events = notes(12, at=THEN + 100) + notes(crowd, step=0) + notes(12, at=THEN - 100)
        found = read(nostr(relay.url, page_size=10), ADA.pubkey)
        assert sorted(ids(found.events())) == sorted(ids(relay.events))
        assert "crowded_seconds" not in found.facts["relays"][0]

    def test_a_second_that_holds_more_than_the_relay_gives_is_named(self, relay: OddRelay) -> None:
        relay.cap = 10
        relay.events = notes(3, at=THEN + 100) + notes(15, step=0) + notes(3, at=THEN - 100)
        found = read(nostr(relay.url, page_size=10), ADA.pubkey)
        assert len(found.events()) == 16
        assert found.facts["relays"][0]["crowded_seconds"] == [THEN]

    def test_a_relay_whose_until_leaves_its_second_out_is_read_whole(self, relay: OddRelay) -> None:
        def exclusive(relay: OddRelay, socket: ServerConnection, message: list[Any]) -> bool:
            if message[0] == "REQ":
                message[2]["until"] -= 1
            return False

        relay.behave = exclusive
        relay.events = [event for at in range(9) for event in notes(7, at=THEN + at, step=0)]
        relay.events = list({event["id"]: event for event in relay.events}.values())
        assert len(read(nostr(relay.url, page_size=10), ADA.pubkey).events()) == 63

    def test_a_relay_that_ignores_until_is_named_and_does_not_loop(self, relay: OddRelay, other: OddRelay) -> None:
        relay.heeds_until = False
        relay.events = other.events = notes(30)
        found = read(nostr(relay.url, other.url, page_size=10), ADA.pubkey)
        assert len(found.events()) == 30
        assert [one["state"] for one in found.facts["relays"]] == ["failed", "read"]
        assert found.facts["relays"][0]["reason"] == "relay_lies"
        assert len(relay.asked) < 6

    def test_more_than_max_events_fails(self, relay: OddRelay) -> None:
        relay.events = notes(30)
        with pytest.raises(BackupError) as caught:
            read(nostr(relay.url, max_events=29), ADA.pubkey)
        assert (caught.value.code, caught.value.permanent) == ("too_large", True)


class TestLies:
    def test_what_is_forged_or_foreign_is_left_out_and_counted(self, relay: OddRelay) -> None:
        true = notes(3)
        lies: list[Any] = [
            {**true[0], "content": "other"},
            {**true[1], "sig": "0" * 128},
            BOB.signs("x", created_at=THEN),
            ADA.signs("x", kind=7, created_at=THEN),
            {"id": 1},
            None,
            "x",
        ]

        def lie(relay: OddRelay, socket: ServerConnection, message: list[Any]) -> bool:
            if message[0] == "REQ":
                for event in lies:
                    say(socket, "EVENT", message[1], event)
            return False

        relay.behave, relay.events = lie, true
        found = read(nostr(relay.url, kinds=["1"]), ADA.pubkey)
        assert sorted(ids(found.events("kind-1"))) == sorted(ids(true))
        told = found.facts["relays"][0]
        rounds = len(relay.asked)
        assert told["invalid"] == len(lies) * rounds
        assert told["given"] == 3

    def test_one_that_sends_nothing_but_lies_has_failed(self, relay: OddRelay) -> None:
        def lie(relay: OddRelay, socket: ServerConnection, message: list[Any]) -> bool:
            if message[0] == "REQ":
                say(socket, "EVENT", message[1], BOB.signs("x"))
            return False

        relay.behave = lie
        with pytest.raises(BackupError) as caught:
            read(nostr(relay.url), ADA.pubkey)
        assert (caught.value.code, caught.value.permanent) == ("no_relay", False)

    def test_noise_in_any_form_ends(self, relay: OddRelay, other: OddRelay) -> None:
        def noise(relay: OddRelay, socket: ServerConnection, message: list[Any]) -> bool:
            for text in ("[" * 100_000, "{}", "[]", '["NOTICE"]', "9" * 5000, '["EVENT","other",{}]', "\ud800x"):
                socket.send(text.encode("utf-8", "surrogatepass"))
            return False

        def endless(relay: OddRelay, socket: ServerConnection, message: list[Any]) -> bool:
            while message[0] == "REQ":
                say(socket, "NOTICE", "la")
            return True

        relay.behave, other.behave = noise, endless
        relay.events = notes(3)
        found = read(nostr(relay.url, other.url), ADA.pubkey)
        assert len(found.events()) == 3
        assert found.facts["relays"][1]["reason"] == "relay_lies"

    def test_events_without_end_are_cut_and_read_in_pages(self, relay: OddRelay) -> None:
        """A relay that ignores the limit, with more than is held at once: in order it can be read on."""
        relay.heeds_limit, relay.cap = False, 10_000
        relay.events = notes(200)
        found = read(nostr(relay.url, page_size=10), ADA.pubkey)
        assert len(found.events()) == 200

    def test_a_message_that_is_too_long_ends_the_relay(self, relay: OddRelay, other: OddRelay) -> None:
        def flood(relay: OddRelay, socket: ServerConnection, message: list[Any]) -> bool:
            socket.send("x" * (2 << 20))
            return True

        relay.behave = flood
        other.events = notes(2)
        found = read(nostr(relay.url, other.url), ADA.pubkey)
        assert found.facts["relays"][0]["reason"] == "relay_lies"
        assert len(found.events()) == 2


class TestSilence:
    def test_relays_that_are_down_are_named_and_the_others_read(self, relay: OddRelay) -> None:
        relay.events = notes(3)
        down = f"ws://127.0.0.1:{free_port()}"
        found = read(nostr(down, relay.url), ADA.pubkey)
        told = {one["url"]: (one["state"], one.get("reason")) for one in found.facts["relays"]}
        assert told == {down: ("failed", "unreachable"), relay.url: ("read", None)}

    def test_all_down_fails_and_may_be_tried_again(self) -> None:
        with pytest.raises(BackupError) as caught:
            read(nostr(f"ws://127.0.0.1:{free_port()}"), ADA.pubkey)
        assert (caught.value.code, caught.value.permanent) == ("no_relay", False)

    def test_a_relay_that_falls_silent_is_left(self, relay: OddRelay, other: OddRelay) -> None:
        def silent(relay: OddRelay, socket: ServerConnection, message: list[Any]) -> bool:
            for event in relay.events:
                say(socket, "EVENT", message[1], event)
            relay.released.wait(60)
            return True

        relay.behave, relay.events, other.events = silent, notes(3), notes(3)
        began = time.monotonic()
        found = read(nostr(relay.url, other.url, timeout_s=1), ADA.pubkey)
        assert time.monotonic() - began < 30
        assert found.facts["relays"][0]["reason"] == "timeout"
        assert len(found.events()) == 3

    @pytest.mark.parametrize("drip", [b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * 20, b"x" * 200])
    def test_a_handshake_by_single_bytes_is_given_up(self, drip: bytes) -> None:
        with sockets.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=_drip, args=(server, drip), daemon=True)
            thread.start()
            began = time.monotonic()
            with pytest.raises(BackupError) as caught:
                read(nostr(f"ws://127.0.0.1:{server.getsockname()[1]}", timeout_s=1), ADA.pubkey)
            assert caught.value.code == "no_relay"
            assert time.monotonic() - began < 30
        thread.join(60)
        assert not thread.is_alive()

    def test_a_lost_connection_is_made_again(self, relay: OddRelay) -> None:
        def drop(relay: OddRelay, socket: ServerConnection, message: list[Any]) -> bool:
            if message[0] == "REQ" and len(relay.asked) == 3:
                socket.close()
                return True
            return False

        relay.behave, relay.events = drop, notes(40)
        found = read(nostr(relay.url, page_size=10), ADA.pubkey)
        assert len(found.events()) == 40
        assert found.facts["relays"][0]["state"] == "read"

    def test_one_that_wants_a_sign_in_is_named_as_refused(self, relay: OddRelay, other: OddRelay) -> None:
        def closed(relay: OddRelay, socket: ServerConnection, message: list[Any]) -> bool:
            if message[0] == "REQ":
                say(socket, "AUTH", "challenge")
                say(socket, "CLOSED", message[1], "auth-required: who are you?")
            return True

        relay.behave = closed
        other.events = notes(2)
        found = read(nostr(relay.url, other.url), ADA.pubkey)
        told = found.facts["relays"][0]
        assert told["reason"] == "relay_refused"
        assert "NIP-42" in told["message"]
        with pytest.raises(BackupError) as caught:
            read(nostr(relay.url), ADA.pubkey)
        assert caught.value.permanent

    def test_a_job_that_is_told_to_stop_stops_at_once(self, relay: OddRelay) -> None:
        guard, reached = OneGuard(), threading.Event()

        def hang(relay: OddRelay, socket: ServerConnection, message: list[Any]) -> bool:
            reached.set()
            return True

        relay.behave = hang

        def stop() -> None:
            reached.wait(60)
            guard.stop()

        stopper = threading.Thread(target=stop)
        stopper.start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            read(nostr(relay.url, timeout_s=120), ADA.pubkey, guard=guard)
        assert time.monotonic() - began < 60
        stopper.join()
        assert guard.callbacks == []

    def test_an_address_that_is_not_allowed_is_not_reached(self, relay: OddRelay) -> None:
        settings = {"allowed_networks": ["10.0.0.0/8"]}
        with pytest.raises(BackupError) as caught:
            read(nostr(relay.url, settings=settings), ADA.pubkey)
        assert caught.value.permanent
        assert "127.0.0.1 has the address" not in str(caught.value)
        assert relay.asked == []


class TestIncremental:
    def test_it_brings_what_is_new_and_nothing_twice(self, relay: OddRelay) -> None:
        now = int(time.time())
        old = notes(20) + notes(5, at=now - 100)
        relay.events = list(old)
        first = read(nostr(relay.url), ADA.pubkey)
        late, new = notes(1, at=now - OVERLAP_S // 2, kind=2), notes(3, at=now + 1, kind=3)
        relay.events += late + new
        second = read(nostr(relay.url), ADA.pubkey, parent=_stored(first.facts))
        assert sorted(ids(second.events())) == sorted(ids(late + new))
        assert min(query["since"] for query in relay.asked if "since" in query) >= now - OVERLAP_S - 60
        third = read(nostr(relay.url), ADA.pubkey, parent=_stored(second.facts))
        assert third.events() == []

    def test_a_relay_that_was_down_is_read_from_where_it_was_left(self, relay: OddRelay, other: OddRelay) -> None:
        relay.events = notes(3)
        other.events = notes(3, kind=2)
        gone: list[bool] = [True]

        def refuse(relay: OddRelay, socket: ServerConnection, message: list[Any]) -> bool:
            if gone and message[0] == "REQ":
                say(socket, "CLOSED", message[1], "blocked: no")
                return True
            return False

        other.behave = refuse
        first = read(nostr(relay.url, other.url), ADA.pubkey)
        assert len(first.events()) == 3
        gone.clear()
        second = read(nostr(relay.url, other.url), ADA.pubkey, parent=_stored(first.facts))
        assert sorted(ids(second.events())) == sorted(ids(other.events))

    def test_very_many_new_ids_are_not_all_kept(self, relay: OddRelay, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("exports.nostr.known.MOST_IDS", 10)
        now = int(time.time())
        relay.events = notes(50, at=now - 100)
        first = read(nostr(relay.url), ADA.pubkey)
        kept = first.facts["collections"]["events"]["continue"]
        assert len(kept["ids"]) == 10
        relay.events += notes(2, at=now, kind=2)
        second = read(nostr(relay.url), ADA.pubkey, parent=_stored(first.facts))
        assert len(second.events()) == 2


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"relays": []}, "relays"),
        ({"relays": ["https://x"]}, "relays"),
        ({"relays": ["wss://u:p@x"]}, "relays"),
        ({"relays": ["wss://x", "wss://X/"]}, "relays"),
        ({"relays": ["wss://x:0"]}, "relays"),
        ({"kinds": ["-1"]}, "kinds"),
        ({"kinds": ["65536"]}, "kinds"),
        ({"kinds": ["01"]}, "kinds"),
        ({"kinds": ["1", "1"]}, "kinds"),
        ({"page_size": 0}, "page_size"),
        ({"max_events": 0}, "max_events"),
        ({"timeout_s": 301}, "timeout_s"),
        ({"media_servers": ["ftp://x"]}, "media_servers"),
    ],
)
def test_what_cannot_work_is_said_by_field(options: dict[str, Any], field: str) -> None:
    fine = nostr("wss://relay.example")
    assert NostrSource.validate(fine.connection, fine.options) == {}
    source = build("nostr", Connection(), {"relays": ["wss://relay.example"], **options}, EVERYWHERE)
    assert list(NostrSource.validate(source.connection, source.options)) == [f"options.{field}"]


def test_a_relay_that_answers_is_ok_and_others_are_warnings(relay: OddRelay) -> None:
    report = nostr(relay.url, f"ws://127.0.0.1:{free_port()}").check()
    assert report.ok and len(report.warnings) == 1
    assert not nostr(f"ws://127.0.0.1:{free_port()}").check().ok


def test_options_have_shapes() -> None:
    assert option_faults("nostr", {"relays": "wss://x", "kinds": [1]}).keys() == {"relays", "kinds"}


def _drip(server: sockets.socket, data: bytes) -> None:
    for _ in range(3):
        try:
            server.settimeout(30)
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            try:
                for byte in data:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.05)
            except OSError:
                continue


def _stored(facts: dict[str, Any]) -> Any:
    """As they come back from the site's database."""
    return json.loads(json.dumps(facts))
