"""The suite in parallel, then what failed there once more, alone: that run decides.

`python -m tests.again PYTEST-ARGUMENTS` is what `make test` runs. Its exit status is pytest's own.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LAST_FAILED = Path(__file__).resolve().parents[1] / ".pytest_cache" / "v" / "cache" / "lastfailed"
# More are not the crowd's doing, and running them one by one would take as long as the whole suite.
MOST = 25


def main(arguments: list[str]) -> int:
    LAST_FAILED.unlink(missing_ok=True)  # of an earlier run
    status = run(arguments)
    failed = last_failed()
    whole_modules = any("::" not in name for name in failed)  # they could not be imported
    if status != pytest.ExitCode.TESTS_FAILED or whole_modules or len(failed) > MOST:
        return status
    tell(f"{len(failed)} failed among the others and run again now, alone:", failed)
    status = run([*arguments, "-n", "0", "--last-failed", "--last-failed-no-failures", "none"])
    tell("These failed among the others and pass alone. Each is a defect to be mended:", failed - last_failed())
    return status


def run(arguments: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def last_failed() -> set[str]:
    """Tests by their pytest names, and modules that could not be imported by theirs."""
    return set(json.loads(LAST_FAILED.read_text())) if LAST_FAILED.exists() else set()


def tell(what: str, tests: set[str]) -> None:
    if tests:
        lines = "".join(f"!!   {test}\n" for test in sorted(tests))
        print(f"\n{'!' * 120}\n!! {what}\n{lines}{'!' * 120}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
