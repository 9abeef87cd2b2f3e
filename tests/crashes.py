"""A test that took its whole process along has not merely failed: tests.again must not excuse it."""

import pytest

_crashed: list[str] = []


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str) -> None:
    _crashed.append(crashitem)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _crashed:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
