"""What a drill's sink has taken, against the manifest of the backup."""

from collections.abc import Mapping
from typing import Any

from databases.engines.findings import Findings
from databases.engines.http_service.sink import Sink, Taken
from databases.engines.proof import Comparison

SINK = "a sink of this worker"
OLD_MANIFEST = "The manifest is of an older version: records were counted, and not compared by their digests."
OLD_CHAIN = "The chain was begun by an older version: nothing says what all of it holds."
WITHOUT_SCHEMA = "No schema was given for {names}: the records were compared by their bytes alone."


def compare(sink: Sink, manifest: Mapping[str, Any]) -> Comparison:
    findings = Findings()
    expected: Mapping[str, Mapping[str, Any]] | None = manifest.get("proof")
    if expected is None and manifest.get("since"):
        findings.note(OLD_CHAIN)
        expected = {}
    elif expected is None:
        findings.note(OLD_MANIFEST)
        expected = {name: {"records": count} for name, count in manifest.get("counts", {}).items()}
    for name, facts in expected.items():
        found = sink.taken.get(name, Taken()).sum.facts()
        if findings.compare("records", name, facts["records"], found["records"]) and "digest" in facts:
            findings.compare("records_digest", name, facts["digest"], found["digest"])
    for name in sink.schemas:
        taken = sink.taken.get(name, Taken())
        findings.compare("schema", name, {"faulty": 0, "first": ""}, {"faulty": taken.faulty, "first": taken.first})
    if without := [name for name in expected if name not in sink.schemas]:
        findings.note(WITHOUT_SCHEMA.format(names=", ".join(without)))
    return findings.comparison(server_version=SINK)
