"""The page of a job: its state, its progress while it runs, its log; polled until it has ended."""

import hashlib
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext

from jobs.admin.pages import PageAdmin, tell
from jobs.admin.timeline import timeline
from jobs.models import Job, Status
from jobs.selectors import log_lines
from jobs.services.cancel import cancel_job

LOG_LINES = 500
STOP_POLLING = 286  # htmx swaps the answer in and asks no more


class JobAdmin(PageAdmin):
    """`phases` are the names a run reports, in their order, with a label."""

    page_template = "backupsite/job_page.html"
    body_template: ClassVar[str]
    phases: ClassVar[tuple[tuple[str, Any], ...]]
    log_route: ClassVar[str] = ""  # the name of the address that gives the whole log as a text

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
        return {
            **self._live_context(obj, after=0),
            "body_template": self.body_template,
            "cancel_url": self.address(obj, "cancel"),
            "log_url": reverse(self.log_route, args=[obj.pk]) if self.log_route else "",
        }

    def progress(self, request: HttpRequest, job: Job) -> HttpResponse:
        """204 while nothing has changed since the version the page shows, 286 with the whole page when the job ended.

        While it runs only the figures and new lines of the log are sent: nothing else on the page moves.
        """
        seen, last = request.GET.get("seen", ""), request.GET.get("after", "")
        if job.is_open and seen == _version(job):
            return HttpResponse(status=204)
        if job.is_open and last.isdecimal() and seen.startswith(_shape(job)):
            live = self._live_context(job, after=int(last[:18]))
            return self.render(request, "backupsite/job_live.html", object=job, appended=True, **live)
        answer = self.render(request, "backupsite/job_body.html", object=job, **self.page_context(request, job))
        answer.headers["HX-Retarget"], answer.headers["HX-Reswap"] = "#job", "outerHTML"
        if not job.is_open:
            answer.status_code = STOP_POLLING
        return answer

    def _live_context(self, job: Job, *, after: int) -> dict[str, Any]:
        version = _version(job)  # before the log is read: a line that comes between is sent twice rather than never
        lines = list(log_lines(job).filter(id__gt=after).order_by("-id")[: LOG_LINES + 1])
        return {
            "steps": timeline(job, self.phases),
            "log": lines[:LOG_LINES][::-1],
            "log_cut": len(lines) > LOG_LINES and not after,
            "percent": _percent(job),
            "remaining_s": _remaining(job),
            "waited_s": _waited(job),
            "running_s": None if job.duration_s is None else int(job.duration_s),
            "seen": version,
            "after": lines[0].pk if lines else after,
            "progress_url": self.address(job, "progress"),
        }

    def cancel(self, request: HttpRequest, job: Job) -> HttpResponse:
        running = job.status == Status.IN_PROGRESS
        done = gettext("%(job)s is being cancelled.") if running else gettext("%(job)s was cancelled.")
        tell(request, lambda: cancel_job(job=job), done % {"job": job.pk})
        return redirect(self.address(job))


class ReadOnlyJobAdmin(JobAdmin):
    """A job that is history: nobody deletes it here."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _percent(job: Job) -> int | None:
    """None when nobody knows; 100 is kept for `completed`."""
    if not job.bytes_total_estimate:
        return None
    return min(99, job.bytes_done * 100 // job.bytes_total_estimate)


def _remaining(job: Job) -> int | None:
    if not job.bytes_total_estimate or not job.bytes_per_s:
        return None
    return max(0, job.bytes_total_estimate - job.bytes_done) // job.bytes_per_s


def _waited(job: Job) -> float | None:
    """Seconds before a first attempt that was not to begin later."""
    if job.started_at is None or job.scheduled_at is not None or job.attempt > 1:
        return None
    return (job.started_at - job.created_at).total_seconds()


def _shape(job: Job) -> str:
    """Changes with what the whole page depends on."""
    return f"{job.status}.{job.attempt}.{int(job.cancel_requested)}."


def _version(job: Job) -> str:
    """Changes whenever the page of a running job would."""
    last = log_lines(job).order_by("-id").values_list("id", flat=True).first()
    shown = (job.phase, job.bytes_done, job.bytes_per_s, job.bytes_total_estimate, last)
    return _shape(job) + hashlib.sha256(repr(shown).encode()).hexdigest()[:16]
