"""`manage.py put_back_export ZIP --relay URL ...`: publish the events of an export to relays."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exports.services.put_back import put_back_export
from exports.sources.nostr import address_fault
from jobs.errors import BackupError


class Command(BaseCommand):
    help = (
        "Publish the events in an export's zip to one or more relays. Every event is verified first. Says for each "
        "relay how many were accepted, were there already, or were refused. Ends with status 1 unless all are there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("zip", type=Path, metavar="ZIP", help="an export as it was fetched (.zip or .zip.age)")
        parser.add_argument("--relay", action="append", required=True, metavar="URL", help="ws:// or wss://")
        parser.add_argument("--identity", type=Path, metavar="FILE", help="an age or SSH key that opens .zip.age")
        parser.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON into this file")
        parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="for an answer")

    def handle(self, *args: Any, **options: Any) -> None:
        for url in options["relay"]:
            if fault := address_fault(url, ("ws", "wss")):
                raise CommandError(f"--relay: {fault}")
        try:
            report = put_back_export(
                archive=options["zip"],
                relays=list(dict.fromkeys(options["relay"])),
                identities=_identities(options["identity"]),
                timeout_s=options["timeout"],
            )
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from error
        text = json.dumps(report, indent=2)
        if options["report"]:
            options["report"].write_text(text + "\n")
            for one in report["relays"]:
                self.stdout.write(
                    f"{one['url']}: {one['accepted']} accepted, {one['duplicate']} there already, "
                    f"{one['refused']} refused, {one['unanswered']} without an answer"
                )
        else:
            self.stdout.write(text)
        if not report["complete"]:
            raise CommandError("Not everything is there now: see the report.")


def _identities(file: Path | None) -> list[str]:
    """An SSH key is the whole file; of an age key file, each line that is one."""
    if file is None:
        return []
    text = file.read_text()
    if "PRIVATE KEY-----" in text:
        return [text]
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
