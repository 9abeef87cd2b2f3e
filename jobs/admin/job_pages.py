"""The page of a job: its state, its progress while it runs, its log; polled until it has ended."""

import hashlib
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern

from jobs.admin.pages import PageAdmin, tell
from jobs.models import Job, LogLine, Status
from jobs.services.cancel import cancel_job

LOG_LINES = 500
STOP_POLLING = 286  # htmx swaps the answer in and asks no more


class JobAdmin(PageAdmin):
    """`phases` are the names a run reports, in their order, with a label."""

    page_template = "backupsite/job_page.html"
    body_template: ClassVar[str]
    phases: ClassVar[tuple[tuple[str, Any], ...]]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def page_routes(self) -> list[URLPattern]:
        return [
            self.read_route("progress", self.progress, self.view_role),
            self.post_route("cancel", self.cancel, self.run_role),
        ]

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        lines = list(_log(obj).order_by("-id")[: LOG_LINES + 1])
        return {
            "body_template": self.body_template,
            "steps": self._steps(obj),
            "log": lines[:LOG_LINES][::-1],
            "log_cut": len(lines) > LOG_LINES,
            "percent": _percent(obj),
            "remaining_s": _remaining(obj),
            "seen": _version(obj),
            "progress_url": self.address(obj, "progress"),
            "cancel_url": self.address(obj, "cancel"),
        }

    def progress(self, request: HttpRequest, job: Job) -> HttpResponse:
        """204 while nothing has changed since the version the page shows, 286 when the job has ended."""
        if job.is_open and request.GET.get("seen") == _version(job):
            return HttpResponse(status=204)
        answer = self.render(request, "backupsite/job_body.html", object=job, **self.page_context(request, job))
        if not job.is_open:
            answer.status_code = STOP_POLLING
        return answer

    def cancel(self, request: HttpRequest, job: Job) -> HttpResponse:
        done = f"{job.pk} is being cancelled." if job.status == Status.IN_PROGRESS else f"{job.pk} was cancelled."
        tell(request, lambda: cancel_job(job=job), done)
        return redirect(self.address(job))

    def _steps(self, job: Job) -> list[dict[str, str]]:
        names = [name for name, _ in self.phases]
        if job.status in (Status.COMPLETED, Status.EXPIRED, Status.DELETING):
            reached = len(names)
        else:
            reached = names.index(job.phase) if job.phase in names else -1
        steps = []
        for position, (_, label) in enumerate(self.phases):
            state = "done" if position < reached else "waits"
            if position == reached:
                state = {Status.IN_PROGRESS: "now", Status.SCHEDULED: "failed", Status.FAILED: "failed"}.get(
                    Status(job.status), "waits"
                )
            steps.append({"label": label, "state": state})
        return steps


class ReadOnlyJobAdmin(JobAdmin):
    """A job that is history: nobody deletes it here."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _log(job: Job) -> Any:
    return LogLine.objects.filter(job_kind=job.kind, job_id=job.pk)


def _percent(job: Job) -> int | None:
    """None when nobody knows; 100 is kept for `completed`."""
    if not job.bytes_total_estimate:
        return None
    return min(99, job.bytes_done * 100 // job.bytes_total_estimate)


def _remaining(job: Job) -> int | None:
    if not job.bytes_total_estimate or not job.bytes_per_s:
        return None
    return max(0, job.bytes_total_estimate - job.bytes_done) // job.bytes_per_s


def _version(job: Job) -> str:
    """Changes whenever the page of a running job would."""
    last = _log(job).order_by("-id").values_list("id", flat=True).first()
    shown = (job.status, job.phase, job.attempt, job.bytes_done, job.bytes_per_s, job.cancel_requested, last)
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]
