"""What only the machine's package manager can bring: tools and shared libraries, as root or through sudo."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# Debian's packages of the libraries that a fetched PostgreSQL or MongoDB links to.
_LIBRARIES = {
    "libxml2.so.2": "libxml2",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libkrb5.so.3": "libkrb5-3",
    "libk5crypto.so.3": "libk5crypto3",
    "libkrb5support.so.0": "libkrb5support0",
    "libcom_err.so.2": "libcom-err2",
    "libcurl.so.4": "libcurl4",
    "liblzma.so.5": "liblzma5",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblz4.so.1": "liblz4-1",
    "libzstd.so.1": "libzstd1",
    "libz.so.1": "zlib1g",
}


class Missing(RuntimeError):
    """Something the tests need is neither here nor can it be fetched; the message says what to do."""


def install(packages: Sequence[str]) -> None:
    """Installs Debian packages. Raises Missing, with their names, when it may not or cannot."""
    if not packages:
        return
    print(f"Installing {' '.join(packages)}", file=sys.stderr)
    # Without a terminal nobody can type a password, so sudo must not ask for one.
    sudo = [] if os.geteuid() == 0 else ["sudo", *([] if sys.stdin.isatty() else ["-n"])]
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
    if shutil.which("apt-get") is None or shutil.which(apt[0]) is None:
        raise Missing(f"Missing, and neither root nor sudo nor apt-get is at hand: install {' '.join(packages)}")
    try:
        subprocess.run([*apt, "update"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*apt, "install", "--no-install-recommends", *packages], check=True, stdout=subprocess.DEVNULL)
    except subprocess.CalledProcessError as error:
        raise Missing(
            f"Could not install {' '.join(packages)}: run as root 'apt-get install ...', then again"
        ) from error


def unpack(package: str, folder: Path) -> None:
    """Unpacks a Debian package's files into `folder`: nothing is installed, no service is started. Raises Missing."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Missing(f"{package} is not on this machine and there is no apt-get to fetch it")
    folder.mkdir(parents=True)
    fetch = ["apt-get", "-q", "download", package]
    if subprocess.run(fetch, cwd=folder, capture_output=True, check=False).returncode:
        _update()
        done = subprocess.run(fetch, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"{package} cannot be fetched: {done.stderr.strip()[-300:]}")
    [archive] = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)
    archive.unlink()


def unpack_with_libraries(packages: Sequence[str], folder: Path) -> None:
    """Unpacks Debian packages, and those they depend on that the machine has not, into `folder`. Raises Missing."""
    names = ", ".join(packages)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Missing(f"{names} are not on this machine and there is no apt-get to fetch them")
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        wanted = _missing(packages)
        if wanted is None:
            _update()
            wanted = _missing(packages)
        fetched = subprocess.run(
            ["apt-get", "-q", "download", *(wanted or packages)], cwd=work, capture_output=True, text=True, check=False
        )
        if wanted is None or fetched.returncode:
            raise Missing(f"{names} cannot be fetched: {fetched.stderr.strip()[-300:]}")
        folder.mkdir(parents=True)
        for archive in sorted(Path(work).glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)


def _missing(packages: Sequence[str]) -> list[str] | None:
    """What an installation would bring, without one; None when apt's lists do not know or do not hold it."""
    command = ["apt-get", "-q", "--simulate", "--no-install-recommends", "--reinstall", "install", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.split() for line in done.stdout.splitlines()]
    return [line[1] for line in lines if line[:1] == ["Inst"]] if not done.returncode else None


def _update() -> None:
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    subprocess.run([*sudo, "apt-get", "-q", "update"], check=False, capture_output=True)


def install_libraries_of(program: Path) -> None:
    """Installs the shared libraries that `program` needs and the machine does not have. Raises Missing."""
    install(packages_for(program))


def packages_for(program: Path) -> list[str]:
    """Debian's packages of the shared libraries that `program` needs and the machine does not have. Raises Missing."""
    listed = subprocess.run(["/usr/bin/ldd", str(program)], check=True, capture_output=True, text=True).stdout
    names = {line.split()[0] for line in listed.splitlines() if "not found" in line}
    if unknown := names - set(_LIBRARIES):
        raise Missing(f"{program} needs {', '.join(sorted(unknown))}, which this machine does not have")
    return sorted({_LIBRARIES[name] for name in names})
