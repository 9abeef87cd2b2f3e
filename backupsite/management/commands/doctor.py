"""`manage.py doctor`: is everything there that backups need?"""

from dataclasses import asdict
from typing import Any

from django.db import Error as DatabaseFault

from backupsite.management.checks import FAIL, Finding, findings
from jobs.management.command import DONE, FAILED, OperatorCommand


class Command(OperatorCommand):
    help = "Check tools, keys, disk, broker, processes and destinations. Exit code 1 when one fails."

    def run(self, *, json: bool, **options: Any) -> int:
        found = []
        try:
            for finding in findings():
                found.append(finding)
                if not json:
                    self._show(finding)
        except DatabaseFault as fault:
            lost = Finding(
                "database",
                FAIL,
                f"The site's database does not answer ({type(fault).__name__}).",
                "Look at DATABASE_URL and at its server; a new site gets its tables from `manage.py serve`.",
            )
            found.append(lost)
            if not json:
                self._show(lost)
        if json:
            self.document([asdict(finding) for finding in found])
        return FAILED if any(finding.state == FAIL for finding in found) else DONE

    def _show(self, finding: Finding) -> None:
        self.stdout.write(f"{finding.state:<5} {finding.check:<12} {finding.message}")
        if finding.hint:
            self.stdout.write(f"{'':<18} hint: {finding.hint}")
