"""Django's settings. Everything an operator may change comes from the environment; docs/configuration.md lists it."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from backupsite import environment, keys, look, single_sign_on
from backupsite.database_url import database_settings
from backupsite.logs import logging_settings

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(environment.value("BACKUPSITE_DATA_DIR", str(BASE_DIR / "data"))).absolute()
KEYS_DIR = DATA_DIR / "keys"

SECRET_KEY = keys.secret_key(KEYS_DIR)
BACKUPSITE_ENCRYPTION_KEYS = keys.encryption_keys(KEYS_DIR)
BACKUPSITE_HOST = environment.value("BACKUPSITE_HOST", "127.0.0.1")
BACKUPSITE_PORT = environment.number("BACKUPSITE_PORT", 8000)
BACKUPSITE_PUBLIC_URL = environment.value("BACKUPSITE_PUBLIC_URL").rstrip("/")
_config = environment.value("BACKUPSITE_CONFIG")
BACKUPSITE_CONFIG = Path(_config).absolute() if _config else None
BACKUPSITE_SELF_BACKUP = environment.choice("BACKUPSITE_SELF_BACKUP", "true", allowed=("true", "false")) == "true"
BACKUPSITE_MAX_PARALLEL_JOBS = environment.number("BACKUPSITE_MAX_PARALLEL_JOBS", 4, minimum=1)
BACKUPSITE_MAX_ATTEMPTS = environment.number("BACKUPSITE_MAX_ATTEMPTS", 3, minimum=1)
# A run whose worker is silent for the lease is ended or tried again; the heartbeat comes every two seconds.
BACKUPSITE_LEASE_S = environment.number("BACKUPSITE_LEASE", 60, minimum=6)
BACKUPSITE_SWEEP_S = environment.number("BACKUPSITE_SWEEP_INTERVAL", 20, minimum=1)
# A Database that was due so long ago and has no good backup since is told of.
BACKUPSITE_VERIFY_AT_ONCE = environment.number("BACKUPSITE_VERIFY_AT_ONCE", 1, minimum=1)
BACKUPSITE_OVERDUE_S = environment.number("BACKUPSITE_OVERDUE", 2 * 3600, minimum=60)
# So long a destination that a Database names may lack the copy of a backup before it is told of.
BACKUPSITE_COPY_BEHIND_S = environment.number("BACKUPSITE_COPY_BEHIND", 24 * 3600, minimum=60)
# Events and the messages made of them are kept so long.
BACKUPSITE_KEEP_EVENTS_DAYS = environment.number("BACKUPSITE_KEEP_EVENTS", 180, minimum=1)
# The audit is kept so long.
BACKUPSITE_KEEP_AUDIT_DAYS = environment.number("BACKUPSITE_KEEP_AUDIT", 730, minimum=1)
BACKUPSITE_STALL_TIMEOUT_S = environment.number("BACKUPSITE_STALL_TIMEOUT", 30 * 60, minimum=1)
BACKUPSITE_MAX_DURATION_S = environment.number("BACKUPSITE_MAX_DURATION", 24 * 3600, minimum=1)
BACKUPSITE_LOCK_TIMEOUT_S = environment.number("BACKUPSITE_LOCK_TIMEOUT", 60, minimum=1)
BACKUPSITE_ENGINE_SETTINGS = {
    "pg_bin_dirs": environment.items("BACKUPSITE_PG_BIN_DIRS"),
    "drill_dir": environment.value("BACKUPSITE_DRILL_DIR"),
    "mongo_bin_dirs": environment.items("BACKUPSITE_MONGO_BIN_DIRS"),
    "allowed_networks": environment.items("BACKUPSITE_ALLOWED_NETWORKS", "0.0.0.0/0,::/0"),
    "sqlite_folders": environment.paths("BACKUPSITE_SQLITE_FOLDERS"),
    "sqlite_temporary": str(DATA_DIR / "tmp"),
}
BACKUPSITE_HOOK_PROGRAMS = environment.paths("BACKUPSITE_HOOK_PROGRAMS")  # none: there are no hooks
BACKUPSITE_FOUR_EYES = environment.choice("BACKUPSITE_FOUR_EYES", "false", allowed=("true", "false")) == "true"
# Who has this role or a stronger one must log in with a second factor; empty asks nobody.
BACKUPSITE_REQUIRE_SECOND_FACTOR = environment.choice(
    "BACKUPSITE_REQUIRE_SECOND_FACTOR", "", allowed=("", "viewer", "operator", "admin")
)
BACKUPSITE_LOCAL_LOGIN = environment.choice("BACKUPSITE_LOCAL_LOGIN", "true", allowed=("true", "false")) == "true"
BACKUPSITE_OIDC = single_sign_on.provider_settings()
if not BACKUPSITE_LOCAL_LOGIN and BACKUPSITE_OIDC is None:
    raise ImproperlyConfigured("BACKUPSITE_LOCAL_LOGIN=false needs BACKUPSITE_OIDC_ISSUER: else nobody can log in.")
BACKUPSITE_APPROVAL_HOURS = environment.number("BACKUPSITE_APPROVAL_HOURS", 24, minimum=1)
BACKUPSITE_DEFAULT_ENCRYPTION = environment.choice("BACKUPSITE_ENCRYPTION", "none", allowed=("none", "age"))
BACKUPSITE_AGE_IDENTITIES = keys.age_identities(KEYS_DIR)
BACKUPSITE_AGE_RECIPIENTS = keys.age_recipients(KEYS_DIR, BACKUPSITE_AGE_IDENTITIES)
BACKUPSITE_DRILL_IDENTITIES = keys.drill_identities()
BACKUPSITE_REPORT_KEY = keys.report_key(KEYS_DIR)
# Drills of a whole fleet may be due at the same minute: they leave the other places to backups.
BACKUPSITE_MAX_PARALLEL_DRILLS = environment.number("BACKUPSITE_MAX_PARALLEL_DRILLS", 1, minimum=1)
# What end users ask for leaves the other places to backups.
BACKUPSITE_MAX_PARALLEL_EXPORTS = environment.number("BACKUPSITE_MAX_PARALLEL_EXPORTS", 1, minimum=1)
BACKUPSITE_WORKER_QUEUES = environment.items("BACKUPSITE_WORKER_QUEUES", "jobs")
BACKUPSITE_METRICS_TOKEN = environment.value("BACKUPSITE_METRICS_TOKEN")
BACKUPSITE_METRICS_OPEN = environment.choice("BACKUPSITE_METRICS_OPEN", "false", allowed=("true", "false")) == "true"
# How many reverse proxies stand in front, each adding to X-Forwarded-For. With 0 what a client says in X-Forwarded-* is
# ignored; with more, the scheme and host of the nearest proxy and the client address that many steps back are believed.
BACKUPSITE_TRUSTED_PROXIES = environment.number("BACKUPSITE_TRUSTED_PROXIES", 0)
BACKUPSITE_LOG_FORMAT = environment.choice("BACKUPSITE_LOG_FORMAT", "console", allowed=("console", "json"))
LOGGING = logging_settings(BACKUPSITE_LOG_FORMAT)

DEBUG = False
_public = urlsplit(BACKUPSITE_PUBLIC_URL)
if BACKUPSITE_PUBLIC_URL and (_public.scheme not in ("http", "https") or not _public.hostname):
    raise ImproperlyConfigured("BACKUPSITE_PUBLIC_URL must be an address such as https://backups.example.com.")
_https = _public.scheme == "https"
# Under which addresses end users reach this site: what they sign is compared with these, never with a Host header.
BACKUPSITE_EXPORT_ORIGINS = [
    *environment.origins("BACKUPSITE_PUBLIC_URL"),
    *environment.origins("BACKUPSITE_EXPORT_ORIGINS"),
]
# Pages of these origins may ask for exports from a browser.
BACKUPSITE_EXPORT_PAGES = environment.origins("BACKUPSITE_EXPORT_PAGES")
BACKUPSITE_EXPORT_METADATA_BYTES = environment.number("BACKUPSITE_EXPORT_METADATA", 8192, minimum=2)
BACKUPSITE_NIP98_WINDOW_S = environment.number("BACKUPSITE_NIP98_WINDOW", 60, minimum=1)
BACKUPSITE_NIP98_PAYLOAD = (
    environment.choice("BACKUPSITE_NIP98_PAYLOAD", "required", allowed=("required", "optional")) == "required"
)
ALLOWED_HOSTS = environment.items("BACKUPSITE_ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
if _public.hostname and _public.hostname not in ALLOWED_HOSTS:
    ALLOWED_HOSTS.append(_public.hostname)
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"] if _public.scheme else []
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_NAME = "backupsite_session"
SESSION_COOKIE_AGE = 12 * 3600
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _https else 0
if BACKUPSITE_TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    USE_X_FORWARDED_HOST = True
SECURE_SSL_REDIRECT = _https and BACKUPSITE_TRUSTED_PROXIES > 0
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # asked from the same host, without TLS
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains and
    "security.W021",  # its preload list: other sites under the operator's domain are not ours to decide
    "security.W008",  # TLS ends at a reverse proxy; redirecting without trusting its headers would loop for ever
]
if not _https:
    # Served on loopback or a private network without TLS, by choice: no Secure cookies, no HSTS.
    SILENCED_SYSTEM_CHECKS += ["security.W004", "security.W012", "security.W016"]
ROOT_URLCONF = "backupsite.urls"
WSGI_APPLICATION = "backupsite.wsgi.application"
APPEND_SLASH = False

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_prometheus",
    "backupsite.api",
    "backupsite",
    "jobs",
    "notifications",
    "audit",
    "accounts",
    "databases",
    "backups",
    "packages",
    "exports",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "backupsite.auditing.AuditMiddleware",
    "backupsite.languages.LanguageMiddleware",  # after the audit, which is English
    "backupsite.timezones.TimeZoneMiddleware",
    "backupsite.gate.GateMiddleware",
    "exports.api.cors.ExportPagesMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
PROMETHEUS_EXPORT_MIGRATIONS = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": database_settings(environment.value("DATABASE_URL"), DATA_DIR)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    BACKUPSITE_ENGINE_SETTINGS["sqlite_own"] = str(DATABASES["default"]["NAME"])
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en"  # of everything that programs read and that is kept, see backupsite/languages.py
LANGUAGES = [("en", "English"), ("es", "Español"), ("fr", "Français")]
LANGUAGE_COOKIE_NAME = "backupsite_language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SECURE = _https
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "backupsite.formats"
TIME_ZONE = "UTC"  # of everything that programs read and that is kept, see backupsite/timezones.py
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # no collectstatic step between a checkout and a running site

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_SCHEMA_CLASS": "backupsite.api.schema.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTAuthentication",  # the first one: makes "no credentials" a 401
        "backupsite.api.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["backupsite.api.permissions.HasRole"],
    "DEFAULT_PARSER_CLASSES": ["backupsite.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "backupsite.api.negotiation.LenientNegotiation",
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_PAGINATION_CLASS": "backupsite.api.pagination.Pages",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.SearchFilter",
        "backupsite.api.filters.StrictOrdering",
    ],
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "backupsite.api.problems.handle_exception",
}
SIMPLE_JWT = {
    "SIGNING_KEY": keys.jwt_key(KEYS_DIR),
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=30),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "CHECK_REVOKE_TOKEN": True,  # a new password ends every token
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Backupsite",
    "DESCRIPTION": "Schedules, runs, encrypts, stores, verifies and restores backups. Errors are RFC 9457 problems.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["backupsite.api.schema.only_canonical"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "backupsite.api.schema.describe_errors",
    ],
    "ENUM_NAME_OVERRIDES": {
        "JobStatus": "jobs.models.Status",
        "Compression": "databases.models.Compression",
        "Trigger": "backups.models.Backup.Trigger",
        "PackageCompression": "packages.models.Compression",
        "ExportType": "exports.models.Export.Type",
        "OwnExportStatus": "exports.api.own_serializers.STATUSES",
        "SourceKind": "exports.models.Source.Kind",
        "PackageTrigger": "packages.models.Package.Trigger",
        "Severity": "notifications.models.Severity",
        "AnomalySensitivity": "databases.models.Sensitivity",
        "ChannelKind": "notifications.models.Channel.Kind",
        "DestinationKind": "backups.models.Destination.Kind",
    },
    "SWAGGER_UI_DIST": "SIDECAR",  # the pages work without the internet
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

REST_FRAMEWORK["NUM_PROXIES"] = BACKUPSITE_TRUSTED_PROXIES

CELERY_BROKER_URL = environment.value("BROKER_URL") or "doorbell://localhost"
if CELERY_BROKER_URL.startswith("doorbell:"):
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"folder": str(DATA_DIR / "doorbell")}
elif CELERY_BROKER_URL.startswith(("redis", "sentinel")):
    # Redis delivers again what was not acknowledged in time. Ours are acknowledged before the work starts; one that
    # waits in a busy worker is rung again anyway. Longer than any job, so that none is doubled for nothing.
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": BACKUPSITE_MAX_DURATION_S + 3600,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
    }
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_DEFAULT_QUEUE = "jobs"
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = None  # no results, so nothing for beat to clean up
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # cancels go through the row; no broadcast queues to keep
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_TIMEZONE = "UTC"

UNFOLD = look.UNFOLD
