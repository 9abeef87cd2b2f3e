"""A throw-away Ceph with its S3 gateway: what Swift has not, Object Lock and versions above all, a store really does.

One monitor, one storage daemon that keeps everything in memory, one gateway. They run out of Debian's packages as they
were unpacked, as whoever runs the tests, and listen on loopback only.
"""

import http.client
import json
import os
import secrets
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from tests.servers.fetch import ceph_root
from tests.servers.process import ServerError, answers, free_port, running

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# A bucket's policy names users of the gateway like this.
ACTIONS = {
    f"s3:{name}"
    for name in (
        *("GetObject", "GetObjectVersion", "GetObjectRetention", "PutObject", "PutObjectRetention", "DeleteObject"),
        *("DeleteObjectVersion", "AbortMultipartUpload", "ListBucket", "ListBucketVersions"),
        *("ListBucketMultipartUploads", "GetBucketObjectLockConfiguration"),
    )
}
PRINCIPAL = "arn:aws:iam:::user/{}"


@dataclass(frozen=True)
class CephServer:
    """A running gateway. `writer_key` is of another user, who may do what a bucket's policy allows, and no more."""

    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "default"
    writer_key: str = "WRITER"

    def client(self, access_key: str = "") -> "S3Client":
        client: S3Client = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )
        return client

    def make_bucket(self, *, lock: bool = True, versions: bool = False) -> str:
        """A new bucket, with Object Lock (and so with versions) unless told otherwise."""
        bucket = f"bucket-{secrets.token_hex(8)}"
        client = self.client()
        client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=lock)
        if versions:
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        return bucket

    def allow_writer(self, bucket: str, actions: list[str]) -> None:
        """Lets `writer_key` do these, on the bucket and its objects, and nothing else, with its own objects either."""
        whom = {
            "Principal": {"AWS": [PRINCIPAL.format("writer")]},
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }
        denied = sorted(ACTIONS - set(actions))  # this gateway takes no notice of NotAction
        statements = [{"Effect": "Allow", "Action": actions, **whom}, {"Effect": "Deny", "Action": denied, **whom}]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.client().put_bucket_policy(Bucket=bucket, Policy=policy)

    def versions(self, bucket: str) -> list[Any]:
        """Every version of every object, delete markers included."""
        found = self.client().list_object_versions(Bucket=bucket)
        return [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]


@contextmanager
def start_ceph(folder: Path) -> Iterator[CephServer]:
    """Starts it with everything in `folder`. Raises Missing or ServerError."""
    root = ceph_root()
    folder.mkdir(parents=True)
    monitor, gateway = free_port(), free_port()
    config = _write_config(folder, root, monitor, gateway)
    ceph = _Programs(root, config)
    cluster, osd = str(uuid.uuid4()), str(uuid.uuid4())
    monmap, keyring = str(folder / "monmap"), str(folder / "keyring")
    Path(keyring).touch(mode=0o600)
    address = f"[v2:127.0.0.1:{monitor}]"
    ceph.run("monmaptool", "--create", "--addv", "a", address, "--fsid", cluster, monmap)
    for name in ("mon.", "client.admin", "client.rgw.a", "osd.0"):
        rights = [word for daemon in ("mon", "osd", "mgr") for word in ("--cap", daemon, "allow *")]
        ceph.run("ceph-authtool", keyring, "--gen-key", "-n", name, *rights)
    ceph.run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring, "--fsid", cluster)
    with ExitStack() as stack:
        stack.enter_context(ceph.serving("ceph-mon", "-i", "a", ready=lambda: answers(monitor)))
        ceph.run("ceph", "osd", "new", osd)
        ceph.run("ceph", "auth", "import", "-i", keyring)
        ceph.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        stack.enter_context(ceph.serving("ceph-osd", "-i", "0", ready=ceph.storage_is_up))
        secret = secrets.token_hex(20)
        for name in ("owner", "writer"):
            keys = ("--access-key", name.upper(), "--secret-key", secret)
            ceph.run("radosgw-admin", "user", "create", "--uid", name, "--display-name", name, *keys)
        stack.enter_context(ceph.serving("radosgw", "-n", "client.rgw.a", ready=lambda: _speaks(gateway)))
        yield CephServer(f"http://127.0.0.1:{gateway}", "OWNER", secret)


class _Programs:
    """Ceph's programs with the libraries that were unpacked beside them."""

    def __init__(self, root: Path, config: Path) -> None:
        self._bin, self._config = root / "usr" / "bin", config
        self._env = _environment(root)

    def _command(self, name: str, *arguments: str) -> list[str]:
        # The command line tool is a Python program for the interpreter that Debian's packages are made for.
        start = ["/usr/bin/python3", str(self._bin / name)] if name == "ceph" else [str(self._bin / name)]
        return [*start, "-c", str(self._config), *arguments]

    def run(self, name: str, *arguments: str) -> str:
        """What it wrote. Raises ServerError with its own words."""
        command = self._command(name, *arguments)
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=self._env, timeout=120)
        if done.returncode:
            raise ServerError(f"{name} {' '.join(arguments[:3])} ended with {done.returncode}: {done.stderr[-1500:]}")
        return done.stdout

    @contextmanager
    def serving(self, name: str, *arguments: str, ready: Any) -> Iterator[None]:
        log = self._config.with_name(f"{name}.out")
        command = self._command(name, *arguments, "-f")
        # Everything goes with its folder: an orderly end would only take its time.
        with running(command, log=log, ready=ready, env=self._env, stop_with=SIGKILL, timeout=120):
            yield

    def storage_is_up(self) -> bool:
        return bool(json.loads(self.run("ceph", "osd", "stat", "-f", "json"))["num_up_osds"])


def _environment(root: Path) -> Mapping[str, str]:
    libraries = [
        *root.glob("usr/lib/*-linux-gnu"),
        *root.glob("usr/lib/*-linux-gnu/ceph"),
        *root.glob("lib/*-linux-gnu"),
    ]
    packages = root / "usr" / "lib" / "python3" / "dist-packages"
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, libraries)), "PYTHONPATH": str(packages)}


def _speaks(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _write_config(folder: Path, root: Path, monitor: int, gateway: int) -> Path:
    plugins = next((root / "usr" / "lib").glob("*-linux-gnu"))
    for name in ("mon", "osd", "rgw", "run"):
        (folder / name).mkdir()
    config = folder / "ceph.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder,
            monitor=monitor,
            gateway=gateway,
            erasure=plugins / "ceph" / "erasure-code",
            compressor=plugins / "ceph" / "compressor",
            classes=plugins / "rados-classes",
        )
    )
    return config


_CONFIG = """[global]
mon_initial_members = a
mon_host = [v2:127.0.0.1:{monitor}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
keyring = {folder}/keyring
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
mon_max_pg_per_osd = 1000
osd_objectstore = memstore
memstore_device_bytes = 4294967296
mon_data = {folder}/mon
osd_data = {folder}/osd
mon_data_avail_crit = 1
run_dir = {folder}/run
admin_socket = {folder}/run/$name.$pid.asok
pid_file = {folder}/run/$name.pid
crash_dir = {folder}/run
log_file = {folder}/$name.log
erasure_code_dir = {erasure}
compressor_dir = {compressor}
plugin_dir = {compressor}
osd_class_dir = {classes}
[mon]
mon_cluster_log_to_file = false
[client.rgw.a]
rgw_frontends = beast endpoint=127.0.0.1:{gateway}
rgw_data = {folder}/rgw
rgw_enable_apis = s3
rgw_dns_name = 127.0.0.1
rgw_override_bucket_index_max_shards = 1
rgw_gc_max_objs = 1
rgw_thread_pool_size = 32
"""
