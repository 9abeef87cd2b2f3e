"""`manage.py apply_config FILE`: make the site what the file says."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from backupsite.config.apply import apply_config
from backupsite.config.reading import ConfigRefused
from jobs.management.command import DONE, FAILED, OperatorCommand


class Command(OperatorCommand):
    help = "Make the site what a config.yaml says. Exit code 1 when the file has faults; then nothing is changed."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--plan", action="store_true", help="Show what would be changed, and change nothing.")
        parser.add_argument(
            "--prune", action="store_true", help="Delete what an earlier file brought and this one leaves out."
        )

    def run(self, *, file: Path, plan: bool, prune: bool, json: bool, **options: Any) -> int:
        try:
            changes = apply_config(path=file, plan=plan, prune=prune)
        except ConfigRefused as refused:
            for fault in refused.faults:
                self.stderr.write(f"{file}: {fault}")
            self.stderr.write(f"{len(refused.faults)} faults. Nothing was changed.")
            if json:
                self.document({"faults": [asdict(fault) for fault in refused.faults]})
            return FAILED
        if json:
            self.document({"planned" if plan else "done": [asdict(change) for change in changes]})
            return DONE
        for change in changes:
            self.stdout.write(str(change))
        if not changes:
            self.stdout.write("The site is as the file says.")
        elif plan:
            self.stdout.write("This is the plan: nothing was changed.")
        return DONE
