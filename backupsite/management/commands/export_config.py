"""`manage.py export_config`: the site as a config.yaml."""

import json as json_module
from typing import Any

from django.core.management.base import CommandParser

from backupsite.config.export import export_config
from backupsite.config.shape import schema
from jobs.management.command import DONE, OperatorCommand


class Command(OperatorCommand):
    help = "Write the site's configuration as YAML to stdout, with references in the place of secrets."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--schema", action="store_true", help="Write the JSON Schema of the file instead.")

    def run(self, *, schema: bool, json: bool, **options: Any) -> int:
        text = json_module.dumps(_schema(), indent=2) + "\n" if schema else export_config()
        self.stdout.write(text, ending="")
        return DONE


_schema = schema
