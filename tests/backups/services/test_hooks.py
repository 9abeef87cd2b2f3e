"""The operator's own commands around a real backup of a real server."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

import jobs.lease
from backups.models import Backup, Copy
from backups.services import hooks
from backups.services.request import request_backup
from databases.models import Database
from databases.services.save import save_database
from jobs.models import LogLine, Status
from jobs.services.cancel import cancel_job
from jobs.services.run import run_job
from notifications.models import Event
from tests.live import busy
from tests.room import back_up, finish, local_destination, register
from tests.servers.postgres import PostgresServer

Write = Callable[..., list[str]]


class Site:
    """One Database and a folder with scripts, which the setting allows. Each script adds lines to `told`."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.scripts = folder / "hooks"
        self.scripts.mkdir()
        self.disk = folder / "disk"
        self._told = folder / "told"

    def script(self, name: str, *lines: str) -> list[str]:
        """The command that runs these lines of shell; `told` gets its name first."""
        path = self.scripts / name
        path.write_text("\n".join(["#!/bin/sh", f"echo {name} $BACKUPSITE_STATUS >> {self._told}", *lines, ""]))
        path.chmod(0o755)
        return [str(path)]

    def set(self, **values: Any) -> None:
        save_database(database=self.database, values={"hooks": values}, create=False)

    @property
    def told(self) -> list[str]:
        return self._told.read_text().splitlines() if self._told.exists() else []

    def stored(self) -> list[str]:
        return [path.name for path in self.disk.rglob("*") if path.is_file() and not path.name.startswith(".")]


@pytest.fixture
def site(
    transactional_db: None,
    postgres: Callable[[int], PostgresServer],
    fresh_database: Callable[[PostgresServer], str],
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    server = postgres(18)
    settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(server.bin_dir)]}
    settings.BACKUPSITE_MAX_ATTEMPTS = 1
    settings.BACKUPSITE_HOOK_PROGRAMS = [f"{tmp_path}/hooks/"]
    monkeypatch.setattr(jobs.lease, "HEARTBEAT_S", 0.05)
    local_destination(tmp_path / "disk")
    return Site(register(server, fresh_database(server)), tmp_path)


def log_of(backup: Backup) -> str:
    return "\n".join(LogLine.objects.filter(job_id=backup.pk).order_by("id").values_list("message", flat=True))


def test_they_run_in_order_before_the_dump_and_after_the_artefact_is_stored(site: Site) -> None:
    site.set(
        pre=[site.script("freeze", f"ls {site.disk} | wc -l"), site.script("second")],
        post=[site.script("thaw", f"find {site.disk} -name '*.manifest.json' | wc -l"), site.script("last")],
    )
    backup = back_up(site.database)
    assert backup.status == Status.COMPLETED
    assert site.told == ["freeze", "second", "thaw stored", "last stored"]
    log = log_of(backup)
    assert "pre hook 1 (freeze): 0" in log
    assert "post hook 1 (thaw): 1" in log
    assert log.index("pre hook 2 (second) ended well") < log.index("dumping to") < log.index("post hook 1 (thaw)")


def test_a_pre_that_fails_stops_the_backup_before_a_byte_and_post_still_runs(site: Site) -> None:
    good = back_up(site.database)
    before = site.stored()
    site.set(
        pre=[site.script("freeze", "echo cannot freeze >&2", "exit 3"), site.script("never")],
        post=[site.script("thaw")],
    )
    backup = back_up(site.database)
    assert (backup.status, backup.error_code) == (Status.FAILED, "hook_failed")
    assert backup.error_message == "pre hook 1 (freeze) failed with status 3: cannot freeze"
    assert site.told == ["freeze", "thaw failed"]
    assert not backup.copies.exists()
    assert site.stored() == before
    good.refresh_from_db()
    assert good.status == Status.COMPLETED
    assert Event.objects.filter(kind="backup.failed", subject_id=backup.pk).count() == 1
    assert "dumping" not in log_of(backup)


def test_a_pre_that_fails_is_tried_again_like_any_failure_that_may_pass(site: Site, settings: Any) -> None:
    settings.BACKUPSITE_MAX_ATTEMPTS = 2
    site.set(pre=[site.script("freeze", "exit 1")])
    assert back_up(site.database).status == Status.SCHEDULED


def test_a_pre_that_takes_too_long_is_ended_with_everything_it_started(site: Site, tmp_path: Path) -> None:
    site.set(
        pre=[site.script("freeze", f"sleep 61.5 & echo $! > {tmp_path}/child", "wait")],
        post=[site.script("thaw")],
        timeout_s=1,
    )
    began = time.monotonic()
    backup = back_up(site.database)
    assert time.monotonic() - began < 10 * busy()
    assert backup.error_message == "pre hook 1 (freeze) took longer than 1 seconds and was ended and said nothing."
    assert site.told == ["freeze", "thaw failed"]
    assert not is_alive(int((tmp_path / "child").read_text()))


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "Z (zombie)" not in status.read_text()


def test_post_runs_after_a_dump_that_failed_and_knows(site: Site) -> None:
    site.set(pre=[site.script("freeze")], post=[site.script("thaw")])
    save_database(database=site.database, values={"password": "wrong"}, create=False)
    assert back_up(site.database).status == Status.FAILED
    assert site.told == ["freeze", "thaw failed"]


def test_a_failing_post_leaves_the_backup_completed_the_others_run_and_an_event_tells(site: Site) -> None:
    site.set(post=[site.script("thaw", "echo stuck", "exit 7"), site.script("last")])
    backup = back_up(site.database)
    assert backup.status == Status.COMPLETED
    assert backup.copies.get().state == Copy.State.STORED
    assert site.told == ["thaw stored", "last stored"]
    event = Event.objects.get(kind="hook.failed")
    assert (event.severity, event.subject_id, event.database_id) == ("warning", backup.pk, site.database.pk)
    assert event.message.endswith("post hook 1 (thaw) failed with status 7: stuck")
    assert event.hint


def run_and_cancel_when(site: Site, met: Callable[[], bool]) -> Backup:
    """Runs a backup in a thread and cancels it as soon as `met()`."""
    backup = request_backup(database=site.database)

    def run() -> None:
        try:
            run_job(kind_name="backup", job_id=backup.pk)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 20 * busy()
    while not met() and time.monotonic() < deadline:
        time.sleep(0.02)
    cancel_job(job=backup)
    thread.join()
    backup.refresh_from_db()
    return backup


def test_a_cancel_kills_a_pre_at_once_and_post_runs(site: Site, tmp_path: Path) -> None:
    site.set(
        pre=[site.script("freeze", f"sleep 62.5 & echo $! > {tmp_path}/child", "wait")],
        post=[site.script("thaw", "sleep 0.3", f"echo done >> {tmp_path}/done")],
    )
    began = time.monotonic()
    backup = run_and_cancel_when(site, (tmp_path / "child").exists)
    assert time.monotonic() - began < 20 * busy()
    assert backup.status == Status.CANCELLED
    assert site.told == ["freeze", "thaw cancelled"]
    assert (tmp_path / "done").exists()
    assert not is_alive(int((tmp_path / "child").read_text()))
    assert site.stored() == []


def test_a_cancel_does_not_kill_a_post_and_the_process_waits_for_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.lease, "UNWIND_S", 0.1)
    stuck = threading.Event()
    monkeypatch.setattr(jobs.lease, "_end_stuck", stuck.set)
    site.set(post=[site.script("thaw", "sleep 1", f"echo done >> {tmp_path}/done")], timeout_s=30)
    backup = run_and_cancel_when(site, lambda: bool(site.told))
    assert backup.status == Status.CANCELLED
    assert (tmp_path / "done").exists()
    assert not stuck.is_set()


@pytest.mark.parametrize("another", [False, True])
def test_a_run_that_lost_its_lease_undoes_its_pre_unless_another_is_at_work(site: Site, another: bool) -> None:
    """Its thaw would spoil the freeze of the run that has taken over, whose own thaw follows."""
    site.set(pre=[site.script("freeze", "sleep 0.5")], post=[site.script("thaw")])
    backup = request_backup(database=site.database)

    def take_over() -> None:
        try:
            while not site.told:
                time.sleep(0.02)
            status = Status.IN_PROGRESS if another else Status.SCHEDULED
            Backup.objects.filter(pk=backup.pk).update(
                status=status, lease_token="00000000-0000-0000-0000-000000000000"
            )
        finally:
            connection.close()

    thread = threading.Thread(target=take_over)
    thread.start()
    finish(backup)
    thread.join()
    assert site.told == (["freeze"] if another else ["freeze", "thaw failed"])
    assert ("left to the run that has taken over" in log_of(backup)) is another


def test_what_the_setting_no_longer_allows_stops_the_run_before_anything(site: Site, settings: Any) -> None:
    """Not skipped: a backup without the freeze that was asked for is not what was asked for."""
    site.set(pre=[site.script("freeze")], post=[site.script("thaw")])
    settings.BACKUPSITE_HOOK_PROGRAMS = [f"{site.scripts}/freeze"]
    backup = back_up(site.database)
    assert (backup.status, backup.error_code) == (Status.FAILED, "hook_not_allowed")
    assert "BACKUPSITE_HOOK_PROGRAMS" in backup.error_hint
    assert site.told == []
    settings.BACKUPSITE_HOOK_PROGRAMS = []
    assert "hooks are off" in back_up(site.database).error_message


def test_a_link_put_in_place_after_the_hook_was_saved_is_not_followed(site: Site, tmp_path: Path) -> None:
    site.set(pre=[site.script("freeze")])
    outside = tmp_path / "outside"
    outside.write_text(f"#!/bin/sh\necho outside >> {tmp_path}/told\n")
    outside.chmod(0o755)
    (site.scripts / "freeze").unlink()
    (site.scripts / "freeze").symlink_to(outside)
    assert back_up(site.database).error_code == "hook_not_allowed"
    assert site.told == []


def test_a_post_program_that_is_missing_stops_the_run_before_pre(site: Site) -> None:
    site.set(pre=[site.script("freeze")], post=[site.script("thaw")])
    (site.scripts / "thaw").chmod(0o644)
    backup = back_up(site.database)
    assert backup.error_code == "hook_failed"
    assert "is no program here" in backup.error_message
    assert site.told == []


def test_no_secret_of_the_database_reaches_a_hook_or_the_log_of_its_words(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUPSITE_ENCRYPTION_KEYS", "s3cr3t-of-the-site")
    password = str(hooks._secrets_of(site.database)[0])
    said = f"cat /proc/$$/environ /proc/$$/cmdline > {tmp_path}/seen; echo 'login with {password} failed'; exit 1"
    site.set(pre=[site.script("freeze", said)])
    backup = back_up(site.database)
    seen = (tmp_path / "seen").read_bytes()
    assert b"s3cr3t" not in seen
    assert password.encode() not in seen
    names = {part.partition(b"=")[0].decode() for part in seen.split(b"\0") if b"BACKUPSITE" in part or b"=" in part}
    expected = {"LC_ALL", "PATH", "BACKUPSITE_DATABASE_ID", "BACKUPSITE_BACKUP_ID", "BACKUPSITE_HOOK"}
    assert expected <= names <= {*expected, "PWD", "_", "SHLVL", "OLDPWD"}
    assert backup.error_message.endswith("login with ******** failed")
    assert password not in log_of(backup) + Event.objects.get(kind="backup.failed").message


def test_the_signs_of_a_shell_are_only_signs(site: Site, tmp_path: Path) -> None:
    words = ["$(touch x)", "; touch x", "*", "`id`", "a b", "", '"', "> x"]
    site.set(pre=[[*site.script("freeze", f'printf "%s\\n" "$#" "$@" > {tmp_path}/words'), *words]])
    assert back_up(site.database).status == Status.COMPLETED
    assert (tmp_path / "words").read_text().splitlines() == [str(len(words)), *words]


def test_a_hook_that_asks_gets_no_answer(site: Site) -> None:
    site.set(pre=[site.script("freeze", "cat", "read answer || echo nobody answers")])
    backup = back_up(site.database)
    assert backup.status == Status.COMPLETED
    assert "nobody answers" in log_of(backup)
