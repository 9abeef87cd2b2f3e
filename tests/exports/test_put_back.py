"""Events of an export go back to relays, and nothing else does, whatever the zip says."""

import hashlib
import json
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from backups.models import Destination
from backups.pipeline.keys import generate_identity
from exports.nostr import bundle
from exports.services.put_back import put_back_export
from jobs.errors import BackupError
from tests.exports.events import Author
from tests.exports.relays import OddRelay, odd_relay, say
from tests.exports.runs import made, relays_source, stored_file
from tests.servers.nostr import NostrRelay
from tests.servers.process import free_port

ADA, BOB = Author("ada"), Author("bob")
THEN = 1_700_000_000
EVENTS = [ADA.signs(str(number), created_at=THEN + number) for number in range(120)]
Make = Callable[..., Path]


@pytest.fixture
def relay() -> Iterator[OddRelay]:
    with odd_relay() as found:
        yield found


@pytest.fixture
def archive(tmp_path: Path) -> Make:
    """`archive(events)` is a zip like an export's; what else is given replaces parts of it."""

    def make(events: list[Any] = EVENTS, *, lines: bytes | None = None, told: Any = None, **more: bytes) -> Path:
        data = lines if lines is not None else b"".join(json.dumps(event).encode() + b"\n" for event in events)
        name = "nostr/events.ndjson"
        facts = {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "records": len(events)}
        index = {
            "schema_version": 1,
            "export": {"pubkey": ADA.pubkey},
            "sources": [{"id": "nostr", "kind": "nostr"}, {"id": "crm", "kind": "http"}],
            "files": [facts],
        }
        file = tmp_path / "export.zip"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr(name, data)
            made.writestr("index.json", json.dumps(index if told is None else told(index)))
            for other, content in more.items():
                made.writestr(other, content)
        return file

    return make


def put_back(file: Path, *urls: str, **values: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"timeout_s": 5, "pauses_s": (0.01, 0.01), **values}
    return put_back_export(archive=file, relays=urls, **given)


def counts(report: dict[str, Any], number: int = 0) -> tuple[int, int, int, int]:
    one = report["relays"][number]
    return one["accepted"], one["duplicate"], one["refused"], one["unanswered"]


def test_every_event_is_there_then_and_again_a_duplicate(relay: OddRelay, archive: Make) -> None:
    report = put_back(archive(), relay.url)
    assert counts(report) == (120, 0, 0, 0)
    assert report["complete"]
    assert sorted(event["id"] for event in relay.events) == sorted(event["id"] for event in EVENTS)
    assert relay.events[0] in EVENTS
    again = put_back(archive(), relay.url)
    assert counts(again) == (0, 120, 0, 0)
    assert again["complete"]


def test_what_is_refused_is_named_with_its_reason(relay: OddRelay, archive: Make) -> None:
    def picky(relay: OddRelay, socket: Any, message: list[Any]) -> bool:
        if message[0] == "EVENT" and message[1]["content"] in ("3", "77"):
            say(socket, "OK", message[1]["id"], False, "blocked: not here")
            return True
        return False

    relay.behave = picky
    report = put_back(archive(), relay.url)
    assert counts(report) == (118, 0, 2, 0)
    assert not report["complete"]
    assert {one["reason"] for one in report["relays"][0]["refused_events"]} == {"blocked: not here"}
    assert {one["id"] for one in report["relays"][0]["refused_events"]} == {EVENTS[3]["id"], EVENTS[77]["id"]}


def test_a_relay_that_is_busy_is_asked_again(relay: OddRelay, archive: Make) -> None:
    refused: set[str] = set()

    def busy(relay: OddRelay, socket: Any, message: list[Any]) -> bool:
        if message[0] == "EVENT" and message[1]["id"] not in refused:
            refused.add(message[1]["id"])
            say(socket, "OK", message[1]["id"], False, "rate-limited: slow down")
            return True
        return False

    relay.behave = busy
    assert counts(put_back(archive(), relay.url)) == (120, 0, 0, 0)


def test_one_relay_that_is_down_keeps_no_other_from_its_events(relay: OddRelay, archive: Make) -> None:
    report = put_back(archive(), f"ws://127.0.0.1:{free_port()}", relay.url)
    assert counts(report, 0) == (0, 0, 0, 120)
    assert counts(report, 1) == (120, 0, 0, 0)
    assert report["relays"][0]["code"] == "unreachable"
    assert not report["complete"]


def test_a_relay_that_never_answers_does_not_hang(relay: OddRelay, archive: Make) -> None:
    relay.behave = lambda relay, socket, message: True
    report = put_back(archive(), relay.url, timeout_s=0.3)
    assert counts(report) == (0, 0, 0, 120)
    assert report["relays"][0]["code"] == "timeout"


def test_a_relay_that_never_answers_to_some_events_gets_the_others(relay: OddRelay, archive: Make) -> None:
    relay.behave = lambda relay, socket, message: message[0] == "EVENT" and message[1]["content"] in ("3", "119")
    report = put_back(archive(), relay.url, timeout_s=0.5)
    assert counts(report) == (118, 0, 0, 2)
    assert "error" not in report["relays"][0]
    assert not report["complete"]


class TestHostile:
    def test_only_true_events_of_the_user_are_sent(self, relay: OddRelay, archive: Make) -> None:
        odd: list[Any] = [
            {**EVENTS[0], "content": "changed"},
            {**EVENTS[1], "sig": "0" * 128},
            None,
            [],
            "x",
            BOB.signs("x"),
        ]
        lines = b"".join(json.dumps(event).encode() + b"\n" for event in (*odd, EVENTS[5]))
        report = put_back(archive(lines=lines + b"\n{\n" + b"[" * 50_000 + b"\n\xff\xfe"), relay.url)
        assert relay.taken == [EVENTS[5]]
        assert (report["events"], report["foreign"], report["invalid"]) == (1, 1, 9)
        assert not report["complete"]

    def test_an_index_that_lies_about_a_file_is_told(self, relay: OddRelay, archive: Make) -> None:
        def lie(index: dict[str, Any]) -> dict[str, Any]:
            index["files"][0]["sha256"] = "0" * 64
            return index

        report = put_back(archive(told=lie), relay.url)
        assert report["files"][0]["as_indexed"] is False
        assert not report["complete"]
        assert counts(report) == (120, 0, 0, 0)

    def test_names_are_no_paths(self, relay: OddRelay, archive: Make, tmp_path: Path) -> None:
        def lie(index: dict[str, Any]) -> dict[str, Any]:
            index["sources"] += [{"id": "..", "kind": "nostr"}, {"id": "", "kind": "nostr"}, {"id": {}}, None]
            index["files"] += [{"name": "../x.ndjson"}, {"name": "/etc/passwd"}, {"name": 1}, None]
            return index

        before = sorted(tmp_path.rglob("*"))
        file = archive(told=lie, **{"../x.ndjson": b"{}\n"})
        report = put_back(file, relay.url)
        assert report["invalid"] == 1  # the line of ../x.ndjson, read where it lies in the zip
        assert sorted(tmp_path.rglob("*")) == [*before, file]

    @pytest.mark.parametrize("index", [[], {}, {"export": {}}, {"export": {"pubkey": 1}}, None])
    def test_an_index_of_nonsense_is_refused(self, relay: OddRelay, archive: Make, index: Any) -> None:
        with pytest.raises(BackupError) as caught:
            put_back(archive(told=lambda _: index), relay.url)
        assert caught.value.code == "not_an_export"

    @pytest.mark.parametrize("name", ["sources", "files"])
    def test_an_export_without_a_collection_of_nostr_is_refused(
        self, relay: OddRelay, archive: Make, name: str
    ) -> None:
        file = archive(told=lambda index: {**index, name: index[name][1:]})
        with pytest.raises(BackupError) as caught:
            put_back(file, relay.url)
        assert caught.value.code == "no_events"
        with pytest.raises(CommandError, match="no events in this export"):
            call_command("put_back_export", str(file), "--relay", relay.url)

    def test_what_is_no_zip_is_refused(self, relay: OddRelay, tmp_path: Path) -> None:
        (tmp_path / "x.zip").write_bytes(b"PK\x05\x06" + b"\xff" * 18)
        with pytest.raises(BackupError) as caught:
            put_back(tmp_path / "x.zip", relay.url)
        assert caught.value.code == "not_an_export"

    def test_a_file_the_index_names_and_the_zip_has_not_is_damage(self, relay: OddRelay, archive: Make) -> None:
        def lie(index: dict[str, Any]) -> dict[str, Any]:
            index["files"].append({"name": "nostr/gone.ndjson"})
            return index

        with pytest.raises(BackupError) as caught:
            put_back(archive(told=lie), relay.url)
        assert caught.value.code == "damaged"

    def test_flipped_bytes_are_damage_or_no_events(self, relay: OddRelay, archive: Make) -> None:
        file = archive()
        content = bytearray(file.read_bytes())
        content[200] ^= 0xFF
        file.write_bytes(content)
        with pytest.raises(BackupError) as caught:
            put_back(file, relay.url)
        assert caught.value.code == "damaged"

    def test_a_bomb_is_counted_while_it_unpacks(
        self, relay: OddRelay, archive: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bundle, "MOST_RATIO", 10)
        file = archive(lines=b" " * (8 << 20))
        with pytest.raises(BackupError) as caught:
            put_back(file, relay.url)
        assert caught.value.code == "not_an_export"

    def test_a_list_of_files_that_is_too_long_is_not_read(
        self, relay: OddRelay, archive: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bundle, "LARGEST_INDEX", 100)
        with pytest.raises(BackupError) as caught:
            put_back(archive(), relay.url)
        assert caught.value.code == "not_an_export"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("with_ssh", [False, True], ids=["age", "ssh"])
def test_out_of_one_real_relay_and_back_into_another(
    nostr_relays: tuple[NostrRelay, NostrRelay], disk: Destination, tmp_path: Path, with_ssh: bool
) -> None:
    eve = Author(f"eve-{tmp_path}")
    events = [
        eve.signs(f"{at} \u2028 \U0001f600 \n", kind=(1, 7, 30)[at % 3], created_at=THEN + at) for at in range(150)
    ]
    nostr_relays[0].load(events)
    relays_source(nostr_relays[0].url, kinds=["1", "7", "30"])
    key = tmp_path / "key"
    if with_ssh:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        recipient = key.with_suffix(".pub").read_text().strip()
    else:
        identity, recipient = generate_identity()
        key.write_text(f"# created: now\n{identity}\n")
    sealed = stored_file(made(eve.pubkey, recipient=recipient))
    target, report, out = nostr_relays[1], tmp_path / "report.json", StringIO()
    given = [str(sealed), "--relay", target.url, "--identity", str(key), "--report", str(report)]
    call_command("put_back_export", *given, stdout=out)
    assert "150 accepted" in out.getvalue()
    assert json.loads(report.read_text())["complete"] is True
    assert target.ids(eve.pubkey) == {event["id"] for event in events}
    call_command("put_back_export", *given, stdout=out)
    assert json.loads(report.read_text())["relays"][0]["duplicate"] == 150
    assert not list(sealed.parent.glob(".put-back-*"))
    with pytest.raises(CommandError, match="no key was given"):
        call_command("put_back_export", str(sealed), "--relay", target.url)


def test_the_command_ends_badly_when_an_event_is_refused(relay: OddRelay, archive: Make) -> None:
    def refuse(relay: OddRelay, socket: Any, message: list[Any]) -> bool:
        say(socket, "OK", message[1]["id"], False, "blocked: no")
        return True

    relay.behave = refuse
    with pytest.raises(CommandError, match="Not everything"):
        call_command("put_back_export", str(archive(EVENTS[:3])), "--relay", relay.url, stdout=StringIO())
    with pytest.raises(CommandError, match="--relay"):
        call_command("put_back_export", str(archive(EVENTS[:3])), "--relay", "https://x", stdout=StringIO())
