#!/usr/bin/env python
"""Backupsite's command line."""

import os
import sys

try:
    from django.core.exceptions import ImproperlyConfigured
except ModuleNotFoundError as missing:
    if missing.name != "django":
        raise
    sys.exit(
        "error: Django is not installed for this Python.\n"
        "hint: Run it as .venv/bin/python manage.py (make install makes .venv)."
    )


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backupsite.settings")
    from backupsite.management.audited import run

    try:
        run(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
