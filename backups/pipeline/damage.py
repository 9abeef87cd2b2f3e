"""The two ways an artefact can be bad."""

from jobs.errors import BackupError

HINT = "Restore from another copy or an older backup."


def truncated(message: str) -> BackupError:
    return BackupError(message, code="artefact_truncated", permanent=True, hint=HINT)


def corrupt(message: str) -> BackupError:
    return BackupError(message, code="artefact_corrupt", permanent=True, hint=HINT)
