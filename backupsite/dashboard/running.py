"""What runs now, of every kind, with the end of its log, and the newest drills that have ended; in one query."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.contrib import admin
from django.db import DEFAULT_DB_ALIAS
from django.db.models import CharField, F, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Cast
from django.urls import reverse
from django.utils import timezone

from backups.models import Backup, Drill
from jobs.models import Job, LogLine, Status
from jobs.registry import all_kinds

TAIL = 3  # lines of the log
SHOWN = 8
DRILLS = 5
NAMES = ("database_name", "target_name", "backup_label")  # what a run is of, in the order they are looked for
COLUMNS = (
    "id", "job_kind", "of", "status", "phase", "attempt", "bytes_done", "bytes_total_estimate", "bytes_per_s",
    "started_at", "finished_at", "cancel_requested", "error_message", "log_1", "log_2", "log_3",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    pk: str
    kind: str
    of: str
    status: str
    phase: str
    attempt: int
    bytes_done: int
    bytes_total: int | None
    bytes_per_s: int
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested: bool
    error: str
    log: tuple[str, ...]
    label: Any = ""
    url: str = ""
    cancel_url: str = ""

    @property
    def percent(self) -> int | None:
        """None when nobody knows; 100 is kept for `completed`."""
        return min(99, self.bytes_done * 100 // self.bytes_total) if self.bytes_total else None

    @property
    def remaining_s(self) -> int | None:
        if not self.bytes_total or not self.bytes_per_s:
            return None
        return max(0, self.bytes_total - self.bytes_done) // self.bytes_per_s

    @property
    def took(self) -> timedelta | None:
        return self.finished_at - self.started_at if self.finished_at and self.started_at else None


@dataclass(frozen=True)
class Now:
    """`runs` are the first few of `total`; `version` changes whenever what is shown of them would."""

    runs: list[Run]
    total: int
    drills: list[Run]

    @property
    def more(self) -> int:
        return self.total - len(self.runs)

    @property
    def version(self) -> str:
        shown = [(run.pk, run.phase, run.bytes_done, run.cancel_requested, run.log) for run in self.runs]
        return hashlib.sha256(repr((shown, self.total)).encode()).hexdigest()[:16]


def running(*, with_drills: bool = False) -> Now:
    found = [_run(row) for row in Backup.objects.raw(*_written(with_drills))]
    runs = [run for run in found if run.status == Status.IN_PROGRESS]
    ended = [run for run in found if run.status != Status.IN_PROGRESS]
    runs.sort(key=lambda run: (run.started_at or timezone.now(), run.pk))
    ended.sort(key=lambda run: (run.finished_at or timezone.now(), run.pk), reverse=True)
    return Now([_placed(run) for run in runs[:SHOWN]], len(runs), [_placed(run) for run in ended])


@lru_cache
def _written(with_drills: bool) -> tuple[str, tuple[Any, ...]]:
    """The query as the site's database takes it: the same at every look, and longer to write than to answer."""
    first, *rest = (_rows(kind.model, kind.name, with_drills) for kind in all_kinds())
    sql, values = first.union(*rest, all=True).query.get_compiler(DEFAULT_DB_ALIAS).as_sql()
    return sql, tuple(values)


def _rows(model: type[Job], kind: str, with_drills: bool) -> QuerySet[Any, Any]:
    wanted = Q(status=Status.IN_PROGRESS)
    if model is Drill and with_drills:
        newest = Drill.objects.filter(status__in=(Status.COMPLETED, Status.FAILED)).order_by("-created_at", "-id")
        wanted |= Q(pk__in=newest.values("pk")[:DRILLS])
    name = next((name for name in NAMES if any(field.name == name for field in model._meta.fields)), "pk")
    lines = LogLine.objects.filter(job_kind=kind, job_id=OuterRef("pk")).order_by("-id").values("message")
    rows = model._default_manager.filter(wanted).order_by()
    return rows.annotate(
        job_kind=Value(kind, output_field=CharField()),
        of=Cast(F(name), output_field=CharField()),
        **{
            f"log_{number + 1}": Subquery(lines[number : number + 1], output_field=TextField())
            for number in range(TAIL)
        },
    ).values_list(*COLUMNS)


def _run(row: Any) -> Run:
    return Run(
        pk=row.pk,
        kind=row.job_kind,
        of=row.of,
        status=row.status,
        phase=row.phase,
        attempt=row.attempt,
        bytes_done=row.bytes_done,
        bytes_total=row.bytes_total_estimate,
        bytes_per_s=row.bytes_per_s,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancel_requested=row.cancel_requested,
        error=row.error_message,
        log=tuple(line for line in (row.log_3, row.log_2, row.log_1) if line),
    )


def _placed(run: Run) -> Run:
    """With its words and addresses, as its own page has them."""
    model = next(kind.model for kind in all_kinds() if kind.name == run.kind)
    label = model._meta.verbose_name
    page: Any = admin.site._registry.get(model)
    if page is None:
        return replace(run, label=label)
    phase = next((words for name, words in getattr(page, "phases", ()) if name == run.phase), run.phase)
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    url, cancel = reverse(f"{name}_change", args=[run.pk]), reverse(f"{name}_cancel", args=[run.pk])
    return replace(run, label=label, phase=phase, url=url, cancel_url=cancel)
