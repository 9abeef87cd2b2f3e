"""The commands that restore an artefact with stock tools, without Backupsite."""

from posixpath import basename
from shlex import quote

from backups.models import Backup, Destination


def restore_by_hand(*, backup: Backup, destination: Destination, key: str) -> list[str]:
    """Shell commands: fetch, compare, restore. docs/restoring-without-backupsite.md explains them."""
    name = quote(basename(key))
    return [
        _fetch(destination, key),
        f"echo {quote(f'{backup.sha256}  {basename(key)}')} | sha256sum --check",
        " | ".join([*_open(backup, name), *_load(backup, name)]),
    ]


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


def _load(backup: Backup, name: str) -> list[str]:
    source = "" if backup.encryption == "age" or backup.compression != "none" else f" {name}"
    if backup.engine != "postgres":
        return []
    if backup.manifest.get("engine", {}).get("format") == "plain":
        return [f"psql -X -v ON_ERROR_STOP=1 --single-transaction -d TARGET{f' -f{source}' if source else ''}"]
    return [f"pg_restore --exit-on-error --single-transaction --no-owner -d TARGET{source}"]
