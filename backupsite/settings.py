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
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
SIMPLE_JWT = {
    "SIGNING_KEY": keys.jwt_key(KEYS_DIR),
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=30),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
}
SPECTACULAR_SETTINGS = {"TITLE": "Backupsite", "VERSION": "1"}

CELERY_BROKER_URL = environment.value("BROKER_URL") or "memory://"
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
