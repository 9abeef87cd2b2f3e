"""nostr-tools, the JavaScript client that others sign in with: run by Node.js, to sign what we have to accept."""

import json
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.npm import node, npm_pack
from tests.servers.store import fetch_once, servers_folder

_PACKAGE = "nostr-tools@2.25.2"
_TARBALL = "86c57b204da99bfa00b18200100e049968415c369c37416f3dbcb7349345a449"
_BUNDLE = "package/lib/nostr.bundle.js"  # whole: nothing else is installed
_SCRIPT = """
const {readFileSync} = require("fs"), {runInThisContext} = require("vm");
const tools = runInThisContext(readFileSync(process.argv[1], "utf8") + ";NostrTools");
const key = tools.generateSecretKey();
const sign = (event) => tools.finalizeEvent(event, key);
const asked = JSON.parse(readFileSync(0, "utf8"));
Promise.all(asked.map(([url, method, body]) => tools.nip98.getToken(url, method, sign, true, body ?? undefined)))
  .then((tokens) => process.stdout.write(JSON.stringify({pubkey: tools.getPublicKey(key), tokens})));
"""


@dataclass(frozen=True)
class Signed:
    """`tokens` are whole Authorization headers."""

    pubkey: str
    tokens: list[str]


def nostr_tools() -> Path:
    """The library in one file. Raises Missing."""
    folder = servers_folder() / _PACKAGE.replace("@", "-")
    fetch_once(folder, _unpack)
    return folder / "nostr.bundle.js"


def sign(requests: Sequence[tuple[str, str, object]]) -> Signed:
    """Each is an address, a method, and what will be the JSON of its body (None: no body); signed by a new key."""
    done = subprocess.run(
        [str(node()), "-e", _SCRIPT, str(nostr_tools())],
        input=json.dumps(requests),
        check=True,
        capture_output=True,
        text=True,
    )
    return Signed(**json.loads(done.stdout))


def _unpack(fresh: Path) -> None:
    work = fresh.parent / "package"
    work.mkdir()
    with tarfile.open(npm_pack(_PACKAGE, _TARBALL, work)) as archive:
        bundle = archive.extractfile(_BUNDLE)
        assert bundle is not None
        fresh.mkdir()
        (fresh / "nostr.bundle.js").write_bytes(bundle.read())
