"""A command that requests a job and follows it, or runs it here."""

from typing import Any

from django.core.management.base import CommandParser

from backups.management.present import outcome
from jobs.management.command import DONE, OperatorCommand
from jobs.management.follow import follow, run_here
from jobs.models import Job


class JobCommand(OperatorCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--here", action="store_true", help="Run it in this process instead of a worker.")
        way.add_argument("--no-wait", action="store_true", help="Ask for it and return at once.")

    def see_through(self, job: Job, *, here: bool, no_wait: bool) -> int:
        """Waits unless told not to; says how it ended in one line, and what to do when it failed."""
        if no_wait:
            self.say(f"{job.pk} {job.get_status_display()}")
            return DONE
        status = run_here(job) if here else follow(job)
        self.say(outcome(job))
        if job.error_code and status:
            self.fault(job.error_message, job.error_hint)
        return status

    def show(self, job: Job, body: dict[str, Any], *, json: bool) -> None:
        """The result on stdout: the document, or the id for a shell variable."""
        if json:
            self.document(body)
        else:
            self.stdout.write(job.pk)
