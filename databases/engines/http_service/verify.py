"""Reading a stored archive to its end."""

from collections.abc import Mapping
from typing import Any

from databases.engines.base import Guard, Source
from databases.engines.http_service.lines import Lines


def verify_structure(source: Source, guard: Guard) -> Mapping[str, Any]:
    """Every line is one JSON value of a known collection, and there are as many as were counted.

    Raises BackupError(code="structure"), and what the source raises.
    """
    lines = Lines(source, source.manifest, guard.check)
    for _ in lines:
        pass
    return {"format": source.manifest.get("format"), "records": sum(lines.counts.values()), "counts": lines.counts}
