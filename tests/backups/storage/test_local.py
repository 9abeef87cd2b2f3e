"""What only a local Destination has to survive."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backups.storage import files
from backups.storage.local import LocalStorage
from jobs.errors import BackupError
from tests.contracts.destination_suite import MIB, Producer

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def failure(attempt: object) -> str:
    with pytest.raises(BackupError) as raised:
        attempt()  # type: ignore[operator]
    return raised.value.code


def test_files_are_private(local: LocalStorage) -> None:
    old = os.umask(0)
    try:
        local.write("a/b/object", Producer(10))
        local.write_text("a/b/object.manifest.json", "{}")
    finally:
        os.umask(old)
    for path in (local.root, local.root / "a", local.root / "a/b"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (local.root / "a/b/object", local.root / "a/b/object.manifest.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@needs_root
def test_a_full_disk_leaves_nothing(small_disk: Path) -> None:
    storage = LocalStorage(small_disk, reserve_bytes=0)
    storage.prepare()
    assert failure(lambda: storage.write("too/large", Producer(2 * MIB))) == "destination_full"
    assert storage.stat("too/large") is None
    assert not [path for path in small_disk.rglob("*") if path.name.startswith("large")]
    assert storage.write("small", Producer(MIB // 2)) == MIB // 2


def test_a_full_disk_without_a_mount(local: LocalStorage) -> None:
    """The same by a limit of the file size, which needs no root. In a process of its own, for limits stay."""
    program = """if True:
        import resource, signal, sys
        from django.conf import settings
        settings.configure()
        from backups.storage.local import LocalStorage
        from jobs.errors import BackupError
        from tests.contracts.destination_suite import Producer
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        try:
            LocalStorage(sys.argv[1], reserve_bytes=0).write("too/large", Producer(2 << 20))
        except BackupError as error:
            print(error.code)
    """
    ran = subprocess.run([sys.executable, "-c", program, local.root], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "destination_full"
    assert list(local.list("")) == []
    assert not list(local.root.rglob("*.partial"))


def test_the_reserve_is_kept_before_and_while_writing(local: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    local.reserve_bytes = 100 * MIB
    left = iter([150 * MIB, 120 * MIB, 101 * MIB, 99 * MIB])
    monkeypatch.setattr("backups.storage.local.free_space", lambda fd: next(left))
    assert failure(lambda: local.write("object", Producer(50 * MIB))) == "destination_full"
    assert next(left, None) is None
    assert local.stat("object") is None
    monkeypatch.setattr("backups.storage.local.free_space", lambda fd: 100 * MIB)
    assert failure(lambda: local.write("object", Producer(0))) == "destination_full"
    assert local.free_bytes() == 0
    assert local.check().code == "destination_full"


def test_a_missing_mount_is_neither_filled_nor_taken_for_empty(local: LocalStorage) -> None:
    local.write("object", Producer(10))
    (local.root / files.MARKER_FILE).unlink()
    for attempt in (
        lambda: local.write("other", Producer(10)),
        lambda: local.write_text("other", ""),
        lambda: local.stat("object"),
        lambda: local.delete("object"),
        lambda: list(local.list("")),
        lambda: local.abort_uploads("object"),
        local.free_bytes,
    ):
        assert failure(attempt) == "destination_marker_missing"
    report = local.check()
    assert (report.ok, report.code) == (False, "destination_marker_missing")
    assert "mounted" in report.hint
    assert os.listdir(local.root) == ["object"]


def test_another_disk_is_refused(local: LocalStorage) -> None:
    other = LocalStorage(local.root, marker="dst_other")
    assert failure(lambda: other.write("object", Producer(1))) == "destination_marker_foreign"
    assert other.check(create=True).code == "destination_marker_foreign"
    assert LocalStorage(local.root, reserve_bytes=0).check().ok


def test_a_new_destination_is_made_by_its_first_check(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "new/folder", reserve_bytes=0, marker="dst_new")
    assert storage.check().code == "destination_missing"
    assert not (tmp_path / "new").exists()
    report = storage.check(create=True)
    assert report.ok, report
    assert report.free_bytes is not None and report.free_bytes > 0
    assert storage.check().ok


@needs_root
def test_a_read_only_mount_says_so(small_disk: Path) -> None:
    storage = LocalStorage(small_disk, reserve_bytes=0)
    storage.prepare()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert storage.check().code == "destination_read_only"


@needs_root
def test_a_folder_of_somebody_else_says_so(local: LocalStorage) -> None:
    """As another user, in a process of its own."""
    for folder in (local.root, *local.root.parents):
        if folder.stat().st_uid == 0 and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    (local.root / files.MARKER_FILE).chmod(0o644)
    program = """if True:
        import os, sys
        from django.conf import settings
        settings.configure()
        from backups.storage.local import LocalStorage
        os.setresuid(65534, 65534, 65534)
        print(LocalStorage(sys.argv[1], reserve_bytes=0).check().code)
    """
    ran = subprocess.run([sys.executable, "-c", program, local.root], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "destination_permission"


def test_symlinks_lead_nowhere(local: LocalStorage, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (local.root / "folder").symlink_to(outside)
    (local.root / "file").symlink_to(outside / "secret")
    (local.root / "partial.partial").symlink_to(outside / "made")
    assert failure(lambda: local.write("folder/object", Producer(1))) == "invalid_key"
    assert failure(lambda: local.open_stream("folder/secret").__enter__()) == "invalid_key"
    assert failure(lambda: local.open_stream("file").__enter__()) == "invalid_key"
    assert failure(lambda: local.delete("folder/secret")) == "invalid_key"
    assert failure(lambda: local.write("partial", Producer(1))) == "upload_exists"
    assert local.stat("file") is None
    assert list(local.list("")) == []
    assert os.listdir(outside) == ["secret"]


def test_an_older_object_is_never_touched(local: LocalStorage) -> None:
    local.write_text("object", "older")
    assert failure(lambda: local.write("object", Producer(10))) == "object_exists"
    assert local.read_text("object") == "older"


def test_what_a_killed_process_left_is_aborted(local: LocalStorage) -> None:
    program = """if True:
        import os, sys
        from django.conf import settings
        settings.configure()
        from backups.storage.local import LocalStorage
        from tests.contracts.destination_suite import Producer
        calls = iter(range(3))
        check = lambda: next(calls, None) is None and os.kill(os.getpid(), 9)
        LocalStorage(sys.argv[1], reserve_bytes=0).write("a/object", Producer(20 << 20), check=check)
    """
    ran = subprocess.run([sys.executable, "-c", program, local.root], check=False)
    assert ran.returncode == -9
    assert (local.root / "a/object.partial").exists()
    assert list(local.list("")) == []
    assert failure(lambda: local.write("a/object", Producer(1))) == "upload_exists"
    assert local.abort_uploads("a/object") == 1
    assert os.listdir(local.root / "a") == []


def test_an_object_that_shrinks_while_read_is_an_error(local: LocalStorage) -> None:
    local.write("object", Producer(10 * MIB))
    with local.open_stream("object") as reader:
        assert reader.readinto(bytearray(MIB)) == MIB
        os.truncate(local.root / "object", 5 * MIB)
        assert failure(lambda: reader.readinto(bytearray(10 * MIB))) == "object_truncated"


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_an_error_at_the_end_leaves_nothing(local: LocalStorage, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(5, "Input/output error")

    local.write("folder/other", Producer(1))
    with monkeypatch.context() as patched:
        patched.setattr(f"backups.storage.local.os.{step}", fail)
        assert failure(lambda: local.write("folder/object", Producer(10))) == "destination_error"
    assert os.listdir(local.root / "folder") == ["other"]


def test_a_folder_that_cannot_be_synced_takes_the_object_back(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def fail_on_folders(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(5, "Input/output error")
        fsync(fd)

    with monkeypatch.context() as patched:
        patched.setattr("backups.storage.local.os.fsync", fail_on_folders)
        assert failure(lambda: local.write("object", Producer(10))) == "destination_error"
    assert local.stat("object") is None
    assert not list(local.root.rglob("object*"))


def test_a_bad_sector_is_a_failure_and_no_defect(local: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    local.write("object", Producer(10))

    def readv(fd: int, buffers: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "readv", readv)
    assert failure(lambda: local.read_text("object")) == "destination_error"
