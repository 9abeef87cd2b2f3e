"""Django's settings. Everything an operator may change comes from the environment; docs/configuration.md lists it."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url

from backupsite import environment, keys

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(environment.value("BACKUPSITE_DATA_DIR", str(BASE_DIR / "data"))).absolute()
KEYS_DIR = DATA_DIR / "keys"

SECRET_KEY = keys.secret_key(KEYS_DIR)
BACKUPSITE_ENCRYPTION_KEYS = keys.encryption_keys(KEYS_DIR)
BACKUPSITE_HOST = environment.value("BACKUPSITE_HOST", "127.0.0.1")
BACKUPSITE_PORT = environment.number("BACKUPSITE_PORT", 8000)
BACKUPSITE_PUBLIC_URL = environment.value("BACKUPSITE_PUBLIC_URL").rstrip("/")
BACKUPSITE_MAX_PARALLEL_JOBS = environment.number("BACKUPSITE_MAX_PARALLEL_JOBS", 4, minimum=1)
BACKUPSITE_MAX_ATTEMPTS = environment.number("BACKUPSITE_MAX_ATTEMPTS", 3, minimum=1)
BACKUPSITE_STALL_TIMEOUT_S = environment.number("BACKUPSITE_STALL_TIMEOUT", 30 * 60, minimum=1)
BACKUPSITE_MAX_DURATION_S = environment.number("BACKUPSITE_MAX_DURATION", 24 * 3600, minimum=1)
BACKUPSITE_LOCK_TIMEOUT_S = environment.number("BACKUPSITE_LOCK_TIMEOUT", 60, minimum=1)
BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": environment.items("BACKUPSITE_PG_BIN_DIRS")}
BACKUPSITE_DEFAULT_ENCRYPTION = environment.choice("BACKUPSITE_ENCRYPTION", "none", allowed=("none", "age"))
BACKUPSITE_AGE_RECIPIENTS = environment.items("BACKUPSITE_AGE_RECIPIENTS")
BACKUPSITE_AGE_IDENTITIES = environment.items("BACKUPSITE_AGE_IDENTITY")

DEBUG = False
_public = urlsplit(BACKUPSITE_PUBLIC_URL)
ALLOWED_HOSTS = environment.items("BACKUPSITE_ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
if _public.hostname and _public.hostname not in ALLOWED_HOSTS:
    ALLOWED_HOSTS.append(_public.hostname)
CSRF_TRUSTED_ORIGINS = [BACKUPSITE_PUBLIC_URL] if _public.scheme else []
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _public.scheme == "https"
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
    "databases",
    "backups",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

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

DATABASES = {
    "default": dj_database_url.parse(
        environment.value("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'backupsite.sqlite3'}",
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # In a file, not in memory: threads of a test meet each other as processes of a site do.
    DATABASES["default"]["TEST"] = {"NAME": DATA_DIR / "test.sqlite3"}
    # IMMEDIATE: a transaction that will write takes its lock at the start, where waiting for it is safe.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA busy_timeout=20000;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # no collectstatic step between a checkout and a running site

REST_FRAMEWORK = {
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
    },
    "SWAGGER_UI_DIST": "SIDECAR",  # the pages work without the internet
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

CELERY_BROKER_URL = environment.value("BROKER_URL") or "memory://"
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"

UNFOLD = {
    "SITE_TITLE": "Backupsite",
    "SITE_HEADER": "Backupsite",
    "SITE_SYMBOL": "shield_lock",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "backupsite.admin.overview",
    "STYLES": [lambda request: static("backupsite/admin.css")],
    "SCRIPTS": [lambda request: static("backupsite/admin.js")],
    "SIDEBAR": {"show_search": False, "navigation": "backupsite.admin.navigation"},
    "COLORS": {
        "primary": {
            "50": "#ecfaff",
            "100": "#cff1fb",
            "200": "#a5e3f4",
            "300": "#6bcde8",
            "400": "#45b4d3",
            "500": "#1b93b5",
            "600": "#0e7490",
            "700": "#155e75",
            "800": "#164e63",
            "900": "#134252",
            "950": "#082f3d",
        }
    },
}
