"""The commands that restore an artefact with stock tools, without Backupsite."""

from posixpath import basename
from shlex import quote

from backups.models import Backup, Destination
from backups.selectors import readable_copies
from databases.engines import registry

FILES = "restored"  # where what becomes files is put


def restore_by_hand(*, backup: Backup, destination: Destination, key: str) -> list[str]:
    """Shell commands: fetch, compare, restore; for an incremental those of its parents come first.

    docs/restoring-without-backupsite.md explains them.
    """
    lines = []
    if backup.parent is not None:
        for copy in readable_copies(backup.parent)[:1]:
            lines = restore_by_hand(backup=backup.parent, destination=copy.destination, key=copy.key)
    return [*lines, _fetch(destination, key), *load_by_hand(backup=backup, file=basename(key))]


def load_by_hand(*, backup: Backup, file: str, into: str = FILES) -> list[str]:
    """Shell commands for an artefact that lies in `file`: compare, restore.

    Files are unpacked below `into`, which no other Database may use: a part of a chain removes by name, and a key may
    be called as anything that lies beside it.
    """
    name, engine = quote(file), registry.engine_class(backup.engine)
    stages = _open(backup, name)
    load = engine.by_hand(backup.manifest.get("engine", {}), "" if stages or engine.by_hand_files else name)
    before, after = engine.by_hand_onto() if backup.type == Backup.Type.INCREMENTAL else ([], [])
    lines = [f"echo {quote(f'{backup.sha256}  {file}')} | sha256sum --check"]
    if engine.by_hand_files:
        lines.append(f"mkdir -p {quote(into)}")
        before, after = ([_inside(into, line) for line in part] for part in (before, after))
        load = _inside(into, load) + ("" if stages else f" < {name}")
    return [*lines, *before, " | ".join([*stages, load]), *after]


def _inside(folder: str, line: str) -> str:
    """Runs it there or not at all."""
    return f"(cd {quote(folder)} && {line})"


def _fetch(destination: Destination, key: str) -> str:
    if destination.kind == Destination.Kind.LOCAL:
        return f"cp {quote(f'{destination.path}/{key}')} ."
    path = "/".join(part for part in (destination.bucket, destination.prefix.strip("/"), key) if part)
    endpoint = f" --endpoint-url {quote(destination.endpoint_url)}" if destination.endpoint_url else ""
    return f"aws s3 cp{endpoint} {quote(f's3://{path}')} ."


def _open(backup: Backup, name: str) -> list[str]:
    """The stages before the loading tool; the first one reads the file."""
    stages = []
    if backup.encryption == "age":
        stages.append(f"age -d -i key.txt {name}")
    source = "" if stages else f" {name}"
    if backup.compression == "zstd":
        stages.append(f"zstd -dc{source}")
    elif backup.compression == "gzip":
        stages.append(f"gunzip -c{source}")
    return stages
