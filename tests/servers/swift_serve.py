"""Runs one of Swift's four servers in this process: `swift_serve.py proxy|account|container|object FOLDER PROXY_PORT`.

Runs on the interpreter of Swift's own virtualenv, so it imports nothing of this project. The storage servers listen
on the three ports after the proxy's. One device, one replica: this is for tests on one machine.
"""

import getpass
import sys
from pathlib import Path

from swift.common import utils
from swift.common.ring import RingBuilder
from swift.common.wsgi import run_wsgi

STORAGE = ("account", "container", "object")
FILTERS = {
    "catch_errors": "", "gatekeeper": "", "healthcheck": "",
    "cache": "use = egg:swift#memcache\nmemcache_servers =",
    "bulk": "", "tempurl": "",
    "s3api": "location = us-east-1\ns3_acl = false\nauth_pipeline_check = true",
    "tempauth": "user_test_tester = {secret} .admin\nuser_test_reader = {secret}\nuser_other_tester = {secret} .admin",
    "copy": "", "container_quotas": "", "account_quotas": "", "slo": "", "dlo": "",
    "versioned_writes": "allow_versioned_writes = true\nallow_object_versioning = true",
    "symlink": "",
}  # fmt: skip


def write_ring(folder: Path, name: str, port: int) -> None:
    """Which device holds what: one device, one replica."""
    builder = RingBuilder(4, 1, 0)
    address = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port}
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "device": "d1", "weight": 1.0, "meta": "", **address})
    builder.rebalance()
    builder.get_ring().save(str(folder / f"{name}.ring.gz"))


def common(folder: Path, port: int) -> str:
    return f"""[DEFAULT]
bind_port = {port}
bind_ip = 127.0.0.1
workers = 0
swift_dir = {folder}
devices = {folder / "devices"}
mount_check = false
user = {getpass.getuser()}
log_level = WARNING
log_udp_host =
fallocate_reserve = 0
disable_fallocate = true
"""


def storage_config(folder: Path, name: str, port: int) -> str:
    app = f"[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n"
    return common(folder, port) + app


def proxy_config(folder: Path, port: int) -> str:
    parts = [common(folder, port), f"[pipeline:main]\npipeline = {' '.join(FILTERS)} proxy-server"]
    parts.append("[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true")
    secret = (folder / "secret").read_text()
    for name, options in FILTERS.items():
        use = "" if options.startswith("use =") else f"use = egg:swift#{name}\n"
        parts.append(f"[filter:{name}]\n{use}{options.format(secret=secret)}")
    return "\n".join(parts) + "\n"


def prepare(folder: Path, port: int) -> None:
    """Rings and the common file, written by the proxy before it and the others need them."""
    (folder / "devices" / "d1").mkdir(parents=True)
    for offset, name in enumerate(STORAGE, start=1):
        write_ring(folder, name, port + offset)
    text = f"[swift-hash]\nswift_hash_path_suffix = {folder.name}\nswift_hash_path_prefix = tests\n"
    (folder / "swift.conf").write_text(f"{text}[storage-policy:0]\nname = p0\ndefault = yes\n")


def main() -> int:
    name, folder, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    config = folder / f"{name}.conf"
    config.touch(mode=0o600)
    if name == "proxy":
        prepare(folder, port)
        config.write_text(proxy_config(folder, port))
    else:
        config.write_text(storage_config(folder, name, port + 1 + STORAGE.index(name)))
    utils.set_swift_dir(str(folder))
    utils.validate_hash_conf()
    status: int = run_wsgi(str(config), f"{name}-server", verbose=False)
    return status


if __name__ == "__main__":
    sys.exit(main())
