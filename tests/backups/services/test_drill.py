"""Drills: whatever happens, the scratch target goes, the row says what came of it, and the report is kept."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rest_framework.serializers import Serializer

from backups.api.drill_report import DrillReportSerializer
from backups.models import Backup, Copy, Drill, Pick
from backups.pipeline.keys import generate_identity
from backups.services.prune import delete_backup
from backups.services.request_drill import request_drill
from backups.services.save_drill_plan import save_drill_plan
from backups.services.scratch import remove_left_scratches, scratch_name
from backups.services.sign_report import canonical, check_signature
from databases.engines import registry
from databases.models import Database
from databases.services.save import save_database
from jobs.errors import BackupError
from jobs.lease import _held
from jobs.models import Status
from jobs.registry import kind_of
from jobs.selectors import log_text
from jobs.services.cancel import cancel_job
from jobs.services.claim import claim
from jobs.services.run import run_job
from notifications.models import Event
from tests.backups.paper import LINES, SHEETS, PaperEngine, scratches
from tests.room import back_up, finish, local_destination

pytestmark = pytest.mark.django_db(transaction=True)

HAS_TWO = {"name": "two is there", "query": "two", "operator": "==", "value": 1}


@pytest.fixture(autouse=True)
def paper(monkeypatch: pytest.MonkeyPatch, settings: Any) -> type[PaperEngine]:
    settings.BACKUPSITE_MAX_ATTEMPTS = 1
    monkeypatch.setitem(registry.ENGINES, "paper", PaperEngine)
    monkeypatch.setattr(PaperEngine, "before", staticmethod(lambda step: None))
    monkeypatch.setattr(PaperEngine, "removed", [])
    SHEETS.clear()
    return PaperEngine


@pytest.fixture
def database(tmp_path: Path) -> Database:
    local_destination(tmp_path / "disk")
    values = {"id": "notes", "name": "Notes", "engine": "paper", "database_name": "notes"}
    return save_database(database=Database(), values=values, create=True)


@pytest.fixture
def backup(database: Database) -> Backup:
    made = back_up(database)
    assert made.status == Status.COMPLETED, made.error_message
    return made


def drill(backup: Backup, **asked: Any) -> Drill:
    return finish(request_drill(backup=backup, **asked))


def at(step: str, then: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Does this when a drill comes to the step."""
    monkeypatch.setattr(PaperEngine, "before", staticmethod(lambda now: then() if now == step else None))


def fails(code: str = "server_away", *, permanent: bool = True) -> Callable[[], None]:
    def fail() -> None:
        raise BackupError("The server is away.", code=code, permanent=permanent)

    return fail


def test_a_good_backup_is_proven(backup: Backup) -> None:
    done = drill(backup, assertions=[HAS_TWO])
    backup.refresh_from_db()
    assert (done.status, done.error_message, done.scratch) == (Status.COMPLETED, "", "")
    assert backup.proven_at == done.finished_at
    assert not scratches() and PaperEngine.removed == [scratch_name(done)]
    assert [event.kind for event in Event.objects.filter(subject_id=done.pk)] == ["drill.completed"]


def test_its_report_says_what_was_found_and_how_long_it_took(backup: Backup) -> None:
    report = drill(backup, assertions=[HAS_TWO]).report
    assert report["verdict"] == "proven" and report["fault"] == "" and report["error"] is None
    assert set(report["seconds"]) == {"scratch", "restore", "compare", "assert", "tear_down"}
    assert report["recovery_time_s"] <= report["total_s"]
    assert report["backup"]["age_s"] > 0 and report["chain"] == [backup.pk]
    [copy] = report["read_from"]
    assert copy["destination"] == "disk"
    assert report["bytes"]["plain"] == len(LINES)
    assert report["comparison"]["checked"] == {"rows": 1} and report["comparison"]["first_difference"] is None
    assert report["assertions"] == [{**HAS_TWO, "found": 1, "ok": True, "error": ""}]
    assert report["versions"]["restore_tool"] == "scissors 1"
    assert "The ink has dried." in report["notes"]
    assert any("made the scratch target" in line for line in report["log"])


def shape(value: Any) -> Any:
    """The names in it, however deep; of a list those of its first element."""
    if isinstance(value, list):
        return shape(value[0]) if value else None
    return {name: shape(inner) for name, inner in value.items()} if isinstance(value, dict) else None


def published(serializer: Any) -> Any:
    serializer = getattr(serializer, "child", serializer)
    if not isinstance(serializer, Serializer):
        return None
    return {name: published(field) for name, field in serializer.fields.items()}


def test_its_report_has_the_shape_that_the_schema_publishes(backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    at("compare", lambda: SHEETS.update(dict.fromkeys(scratches(), b"one\n")), monkeypatch)
    report = json.loads(canonical(drill(backup, assertions=[HAS_TWO]).report))
    report["error"] = {"code": "", "message": "", "hint": ""}  # of one that could not be done
    found = shape(report)
    for free in ("seconds", "restored"):
        found[free] = None
    found["comparison"]["checked"] = None
    assert found == published(DrillReportSerializer())


def test_its_signature_fits_what_is_stored_and_nothing_else(backup: Backup) -> None:
    done = Drill.objects.get(pk=drill(backup).pk)
    signature = done.signature.encode()
    check_signature(report=canonical(done.report), signature=signature)
    tampered = canonical({**done.report, "verdict": "not_proven"})
    with pytest.raises(BackupError, match="does not fit"):
        check_signature(report=tampered, signature=signature)


def test_a_backup_that_differs_is_not_proven_and_stays(backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_a_line() -> None:
        [name] = scratches()
        SHEETS[name] = b"one\n"

    at("compare", lose_a_line, monkeypatch)
    done = drill(backup)
    backup.refresh_from_db()
    assert (done.status, done.error_code) == (Status.FAILED, "not_proven")
    assert "rows of lines: expected 3, found 1." in done.error_message
    assert done.report["verdict"] == "not_proven"
    assert done.report["comparison"]["first_difference"]["found"] == 1
    assert backup.proven_at is None and backup.status == Status.COMPLETED
    assert not scratches() and done.scratch == ""
    event = Event.objects.get(subject_id=done.pk)
    assert (event.kind, event.data) == ("drill.failed", {"last_proven_at": None})


def test_a_failure_says_when_a_backup_was_last_proven(backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    proven = drill(backup)
    at("restore", fails(), monkeypatch)
    event = Event.objects.get(subject_id=drill(backup).pk)
    assert proven.finished_at is not None
    assert event.data == {"last_proven_at": proven.finished_at.isoformat()}


@pytest.mark.parametrize(
    ("query", "why"), [("zwei", "0 is not == 1"), ("torn", "The paper is torn."), ("blank", "is empty")]
)
def test_an_assertion_that_does_not_hold_or_cannot_be_answered_fails(backup: Backup, query: str, why: str) -> None:
    done = drill(backup, assertions=[HAS_TWO, {**HAS_TWO, "query": query}])
    assert (done.status, done.error_code) == (Status.FAILED, "not_proven")
    assert "1 of 2 assertions do not hold" in done.error_message and why in done.error_message
    assert [one["ok"] for one in done.report["assertions"]] == [True, False]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"query": 5}, "A query is a word"),
        ({"operator": "~"}, "operator must be one of"),
        ({"value": "1"}, "number, true or false"),
        ({"value": float("nan")}, "number, true or false"),
        ({"value": True, "operator": ">"}, "compared with =="),
        ({"name": ""}, "its name"),
        ({"more": 1}, "a mapping with"),
    ],
)
def test_an_assertion_that_cannot_mean_anything_is_refused(backup: Backup, change: dict[str, Any], fault: str) -> None:
    with pytest.raises(BackupError, match=fault) as refused:
        request_drill(backup=backup, assertions=[{**HAS_TWO, **change}])
    assert refused.value.code == "invalid_assertion"


def test_a_cut_artefact_fails_the_drill(backup: Backup, tmp_path: Path) -> None:
    path = tmp_path / "disk" / backup.copies.get().key
    path.write_bytes(path.read_bytes()[:-4])
    done = drill(backup)
    assert done.status == Status.FAILED and done.error_code in ("artefact_truncated", "artefact_corrupt")
    assert done.report["verdict"] == "failed" and done.report["error"]["code"] == done.error_code
    assert not scratches() and done.scratch == ""
    check_signature(report=canonical(done.report), signature=done.signature.encode())
    assert backup.copies.get().state == Copy.State.QUARANTINED
    assert Event.objects.filter(kind="verify.failed").exists()


@pytest.fixture
def sealed(database: Database, settings: Any) -> tuple[Backup, str]:
    """A backup that this server cannot open, and the key that does."""
    identity, recipient = generate_identity()
    save_database(database=database, values={"encryption": "age", "encryption_recipients": [recipient]}, create=False)
    settings.BACKUPSITE_AGE_IDENTITIES = []
    settings.BACKUPSITE_DRILL_IDENTITIES = []
    return back_up(database), identity


def test_a_wrong_key_fails_the_drill(sealed: tuple[Backup, str]) -> None:
    done = drill(sealed[0], identity=generate_identity()[0])
    assert (done.status, done.error_code) == (Status.FAILED, "wrong_key")
    assert not scratches()


def test_without_a_key_it_is_refused_and_with_one_it_is_proven(sealed: tuple[Backup, str], settings: Any) -> None:
    backup, identity = sealed
    with pytest.raises(BackupError, match="holds no key") as refused:
        request_drill(backup=backup)
    assert refused.value.code == "missing_key" and "BACKUPSITE_DRILL_IDENTITY" in refused.value.hint
    done = drill(backup, identity=identity)
    assert done.status == Status.COMPLETED and done.identity is None
    assert identity not in json.dumps(done.report) + log_text(done)
    settings.BACKUPSITE_DRILL_IDENTITIES = [identity]
    assert drill(backup).status == Status.COMPLETED


def test_what_cannot_be_drilled_is_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackupError) as nothing:
        request_drill(database=database)
    assert nothing.value.code == "no_backup"
    monkeypatch.setattr(PaperEngine, "supports", frozenset({"full", "restore"}))
    with pytest.raises(BackupError) as unsupported:
        request_drill(database=database)
    assert unsupported.value.code == "unsupported"


def test_a_server_of_another_engine_is_refused(backup: Backup) -> None:
    other = Database.objects.create(pk="pg", name="pg", engine="postgres")
    with pytest.raises(BackupError) as refused:
        request_drill(backup=backup, server=other)
    assert refused.value.code == "engine_mismatch"


def test_it_picks_the_newest_or_any_that_is_kept(backup: Backup, database: Database) -> None:
    newer = back_up(database)
    Backup.objects.filter(pk=back_up(database).pk).update(status=Status.EXPIRED)
    assert request_drill(database=database).backup == newer
    Drill.objects.all().delete()
    picked = {request_drill(database=database, pick=Pick.RANDOM).backup_label for _ in range(40)}
    assert picked == {backup.pk, newer.pk}


def test_it_reads_the_copy_it_is_told_to(backup: Backup, tmp_path: Path) -> None:
    far = local_destination(tmp_path / "far", id="far", name="far", is_default=False)
    with pytest.raises(BackupError, match="no stored copy at far"):
        request_drill(backup=backup, destination=far)
    copy = backup.copies.get()
    there = tmp_path / "far" / copy.key
    there.parent.mkdir(parents=True)
    there.write_bytes((tmp_path / "disk" / copy.key).read_bytes())
    backup.copies.create(destination=far, attempt=1, key=copy.key, state="stored")
    (tmp_path / "disk" / copy.key).unlink()
    done = drill(backup, destination=far)
    assert done.status == Status.COMPLETED, done.error_message
    assert done.report["read_from"][0]["destination"] == "far"


def test_the_plan_says_what_is_not_said(backup: Backup, database: Database) -> None:
    save_drill_plan(database=database, values={"assertions": [{**HAS_TWO, "value": 2}]})
    assert drill(backup).error_code == "not_proven"


def test_a_backup_that_is_being_drilled_cannot_be_deleted(backup: Backup) -> None:
    request_drill(backup=backup)
    with pytest.raises(BackupError, match="being read by drl_"):
        delete_backup(backup=backup)


def test_one_drill_of_a_database_runs_at_a_time_and_few_of_all(
    backup: Backup, database: Database, tmp_path: Path, settings: Any
) -> None:
    values = {"id": "other", "name": "Other", "engine": "paper", "database_name": "other"}
    other = save_database(database=Database(), values=values, create=True)
    first, second = request_drill(backup=backup), request_drill(backup=backup)
    third = request_drill(backup=back_up(other))
    kind = kind_of("drill")

    def starts(drill: Drill) -> bool:
        return claim(kind=kind, job_id=drill.pk, worker="test") is not None

    assert not starts(second), "the first one has its turn"
    assert starts(first)
    assert not starts(third), "as many as the site allows at once"
    settings.BACKUPSITE_MAX_PARALLEL_DRILLS = 3
    assert not starts(second), "the Database is drilled already"
    assert starts(third)


def test_a_doubled_message_drills_once(backup: Backup) -> None:
    done = drill(backup)
    run_job(kind_name="drill", job_id=done.pk)
    assert PaperEngine.removed == [scratch_name(done)]


@pytest.mark.parametrize("step", ["restore", "compare", "assert"])
def test_a_fault_in_any_phase_leaves_no_scratch(backup: Backup, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at(step, fails(), monkeypatch)
    done = drill(backup, assertions=[HAS_TWO])
    assert done.status == Status.FAILED
    assert not scratches() and done.scratch == ""
    assert done.report["verdict"] in ("failed", "not_proven")


def test_a_fault_that_may_pass_is_tried_again(backup: Backup, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.BACKUPSITE_MAX_ATTEMPTS = 2
    at("restore", fails(permanent=False), monkeypatch)
    again = drill(backup)
    assert again.status == Status.SCHEDULED and again.attempt == 1
    at("never", fails(), monkeypatch)
    Drill.objects.update(status=Status.PENDING)
    assert finish(again).status == Status.COMPLETED


def test_a_cancelled_drill_leaves_no_scratch(backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request_drill(backup=backup)

    def cancel() -> None:
        cancel_job(job=asked)
        _wait_until_told(asked)

    at("compare", cancel, monkeypatch)
    done = finish(asked)
    assert done.status == Status.CANCELLED and not scratches() and done.scratch == ""
    assert not Event.objects.filter(subject_id=done.pk).exists()


def _wait_until_told(drill: Drill) -> None:
    """Until the heartbeat has seen that the drill was asked to stop."""
    [lease] = [one for one in _held if one.job.pk == drill.pk]
    told = threading.Event()
    lease.on_abort(told.set)
    assert told.wait(30)


def test_a_scratch_that_cannot_be_removed_does_not_spoil_the_proof_and_is_removed_later(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    at("tear_down", fails(), monkeypatch)
    done = drill(backup)
    backup.refresh_from_db()
    assert done.status == Status.COMPLETED and backup.proven_at
    assert scratches() == {done.scratch} == {scratch_name(done)}
    assert any("could not be removed yet" in note for note in done.report["notes"])
    at("remove", fails(), monkeypatch)
    assert remove_left_scratches() == 0 and scratches()
    at("never", fails(), monkeypatch)
    assert remove_left_scratches() == 1 and not scratches()
    done.refresh_from_db()
    assert done.scratch == "" and remove_left_scratches() == 0
    assert "which an attempt had left behind" in log_text(done)


def test_what_a_killed_attempt_has_left_is_removed_by_the_next_one(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request_drill(backup=backup)
    Drill.objects.update(scratch="bsdrill_left_1", attempt=1)
    SHEETS["bsdrill_left_1"] = b""
    done = finish(asked)
    assert done.status == Status.COMPLETED and done.attempt == 2
    assert PaperEngine.removed == ["bsdrill_left_1", scratch_name(done)] and not scratches()


def test_a_scratch_of_a_running_drill_is_left_alone(backup: Backup) -> None:
    request_drill(backup=backup)
    Drill.objects.update(scratch="bsdrill_mine_1", status=Status.IN_PROGRESS, worker=f"{socket.gethostname()}:1")
    SHEETS["bsdrill_mine_1"] = b""
    assert remove_left_scratches() == 0 and scratches()
