"""The API of exports behind the real web server: what its parsing, its processes and its logs could change.

The web processes work on the test's own database; jobs run in the test.
"""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.db import connection

from backups.models import Destination
from exports.models import Export
from exports.services.save_policy import save_export_policy
from tests.exports.signing import User
from tests.live import busy, until
from tests.room import finish
from tests.servers.nostr_tools import nostr_tools
from tests.servers.npm import node
from tests.servers.process import free_port, running

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
LIST = "/api/backup"
NSEC = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5"  # the example of NIP-19
IMPORT = 'import { finalizeEvent, nip19, nip98 } from "nostr-tools";'
LOADED = """import { readFileSync } from "node:fs";
import { runInThisContext } from "node:vm";
const { finalizeEvent, nip19, nip98 } = runInThisContext(readFileSync(process.argv[2], "utf8") + ";NostrTools");"""


@dataclass
class Web:
    url: str
    log: Path

    def send(self, method: str, target: str, header: str, body: bytes = b"", headers: Any = None) -> tuple[int, Any]:
        given = {"Authorization": header, "Content-Type": "application/json", **(headers or {})}
        asked = urllib.request.Request(self.url + target, data=body or None, headers=given, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=120) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def call(self, user: User, method: str, target: str, body: Any = None) -> tuple[int, Any]:
        raw = b"" if body is None else json.dumps(body).encode()
        return self.send(method, target, user.header(method, target, raw), raw)

    def user(self, name: str) -> User:
        return User(name, origin=self.url)


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    port, log = free_port(), tmp_path_factory.mktemp("web") / "web.log"
    found = Web(f"http://127.0.0.1:{port}", log)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PROMETHEUS_")}
    env |= {
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "BACKUPSITE_EXPORT_ORIGINS": found.url,
        "BACKUPSITE_METRICS_OPEN": "true",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:backupsite.gunicorn", "--workers", "2"]
    command += ["--bind", f"127.0.0.1:{port}"]
    with running(command, log=log, ready=lambda: _answers(found.url), env=env, timeout=60 * busy()):
        yield found


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def at_once(number: int, work: Any) -> Counter[Any]:
    found: Counter[Any] = Counter()
    together = threading.Barrier(number)

    def run() -> None:
        together.wait()
        found[work()] += 1

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_the_raw_target_is_what_is_signed(web: Web) -> None:
    ada = web.user("ada")
    assert web.call(ada, "GET", f"{LIST}?limit=5&x=%2F%20")[0] == 200
    decoded = ada.header("GET", f"{LIST}?limit=5&x=/")
    assert web.send("GET", f"{LIST}?limit=5&x=%2F", decoded)[1]["code"] == "nip98_url"
    assert web.send("GET", "/api/%62ackup", ada.header("GET", LIST))[1]["code"] == "nip98_url"
    assert web.call(ada, "GET", "/api/%62ackup")[0] == 200


def test_no_header_changes_the_address(web: Web) -> None:
    forwarded = {"X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "https", "RAW-URI": LIST}
    lured = User("ada", origin="https://evil.example.com").header("GET", LIST)
    assert web.send("GET", LIST, lured, headers=forwarded)[1]["code"] == "nip98_url"
    assert (
        web.send("GET", LIST, web.user("ada").header("GET", LIST), headers={"Host": "localhost", **forwarded})[0] == 200
    )


def test_a_signature_is_taken_once_by_all_processes_together(web: Web) -> None:
    header = web.user("ada").header("GET", LIST)
    assert at_once(20, lambda: web.send("GET", LIST, header)[0]) == {200: 1, 401: 19}


@pytest.mark.usefixtures("shop", "disk")
def test_of_fifty_creations_at_once_ten_are_made(web: Web) -> None:
    save_export_policy(values={"creations_per_hour": 10, "max_open": 1000})
    bob = web.user("bob")
    made = at_once(50, lambda: web.call(bob, "POST", LIST, {"backupType": "full"})[0])
    assert made == {201: 10, 429: 40}
    assert Export.objects.filter(pubkey=bob.pubkey).count() == 10


@pytest.mark.usefixtures("shop")
def test_a_link_is_in_no_log_and_no_figure(web: Web, disk: Destination) -> None:
    carol = web.user("carol")
    status, made = web.call(carol, "POST", LIST, {"backupType": "full"})
    assert status == 201, made
    export = finish(Export.objects.get())
    address = web.call(carol, "GET", f"{LIST}/{export.pk}")[1]["resultUrl"]
    token = address.rpartition("/")[2]
    assert address == f"{web.url}/api/downloads/exports/{token}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert len(answer.read()) == export.size
    Path(disk.path, export.objects_stored.get().key).write_bytes(b"cut")  # a place that gives less than it should
    with pytest.raises(OSError):
        urllib.request.urlopen(address, timeout=60)
    with urllib.request.urlopen(f"{web.url}/metrics", timeout=60) as answer:
        figures = answer.read().decode()
    assert "export-fetch" in figures
    assert token not in figures
    assert token not in web.log.read_text()
    assert site.SECRET_KEY not in web.log.read_text()


@pytest.mark.usefixtures("shop", "disk")
def test_the_program_of_the_documentation_gets_its_zip(web: Web, tmp_path: Path) -> None:
    """As docs/exports.md has it, but for where the library lies and how long it waits."""
    text = (Path(__file__).parents[2] / "docs" / "exports.md").read_text()
    program = text.partition("```js\n")[2].partition("```")[0]
    for shown, instead in ((IMPORT, LOADED), ("10_000", "1_100")):
        assert shown in program
        program = program.replace(shown, instead)
    script, zipped = tmp_path / "export.mjs", tmp_path / "export.zip"
    script.write_text(program)
    env = {**os.environ, "SITE": web.url, "NSEC": NSEC}
    command = [str(node()), str(script), str(nostr_tools())]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as asking:
        finish(until(Export.objects.first, seconds=60 * busy()))
        address = asking.communicate(timeout=60 * busy())[0].strip()
    assert asking.returncode == 0
    subprocess.run(["curl", "-sfo", str(zipped), address], check=True)
    subprocess.run(["unzip", "-tqq", str(zipped)], check=True)
