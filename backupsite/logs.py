"""Logs: one line an event, for eyes (`console`) or for machines (`json`), and no secret in either."""

import logging
import re
from typing import Any

from django.utils.log import CallbackFilter
from pythonjsonlogger.json import JsonFormatter

HIDDEN = "***"
_NAMES = r"pass(?:word|wd|phrase)?|pwd|secret(?:_?(?:access_?)?key)?|(?:api|access|private)_?key|token|identity"
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]+", re.IGNORECASE), HIDDEN),
    (re.compile(r"\bbks_[A-Za-z0-9_-]{8,}"), HIDDEN),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL), HIDDEN),
    (re.compile(r"\b((?:Bearer|Basic|Api-Key)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"']+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # links that are a credential by themselves
    (re.compile(r"(/downloads/(?:exports/|packages/)?)[\w.:-]{20,}"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(Nostr\s+)[A-Za-z0-9+/=]{40,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    # user:password@ in a URL; greedy, because a password may hold ':' and '@' itself
    (re.compile(r"([A-Za-z][\w+.-]*://[^\s:/@\"']*:)\S+@"), rf"\1{HIDDEN}@"),
    (
        re.compile(
            rf"\b(\w*(?:{_NAMES})\\?[\"']?\s*[=:]\s*)(?:\\?\"(?:[^\"\\]|\\[^\"])*\\?\"|'[^']*'|[^\s,;&\"'}}\])]+)",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)


def scrub(text: str) -> str:
    """Hides what looks like a secret. A safety net: what is known to be one is never given to a logger."""
    for pattern, shown in _SECRETS:
        text = pattern.sub(shown, text)
    return text


class ConsoleFormatter(logging.Formatter):
    """Scrubs the whole line, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return scrub(super().format(record))


class ScrubbingJsonFormatter(JsonFormatter):
    """Scrubs every text of the record before it is made JSON, so that the line stays valid JSON."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return {name: scrub(value) if isinstance(value, str) else value for name, value in log_data.items()}


def _is_no_503(record: logging.LogRecord) -> bool:
    return vars(record).get("status_code") != 503


def logging_settings(format: str) -> dict[str, Any]:
    """Django's LOGGING: everything to stderr through one handler."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "console": {
                "()": ConsoleFormatter,
                "format": "%(asctime)s %(levelname)-7s %(process)d %(name)s: %(message)s",
            },
            "json": {
                "()": ScrubbingJsonFormatter,
                "fmt": "%(asctime)s %(levelname)s %(process)d %(name)s %(message)s",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger", "process": "pid"},
            },
        },
        # "Not ready" is an answer that says everything itself, and is asked for every few seconds.
        "filters": {"not_503": {"()": CallbackFilter, "callback": _is_no_503}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": format}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            # A refused request is the client's business; the answer tells it.
            "django.security.DisallowedHost": {"handlers": [], "propagate": False},
            "django.request": {"level": "ERROR", "filters": ["not_503"]},
            # Celery's own notice of every received and finished task would say twice what the job's log says.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            # How the pool's processes and the doorbell are made concerns nobody until it fails.
            "multiprocessing": {"level": "WARNING"},
            "celery.worker.consumer.connection": {"level": "WARNING"},
            "kombu.connection": {"level": "WARNING"},
            "django_celery_beat": {"level": "WARNING"},
        },
    }
