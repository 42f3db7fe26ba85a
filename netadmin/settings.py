"""Django settings, all of them derived from the variables declared in ``netadmin.env``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from netadmin import env as declared

BASE_DIR = Path(__file__).resolve().parent.parent
env = declared.Reader(BASE_DIR / ".env")

DEBUG: bool = env("DEBUG")
SECRET_KEY: str = env("SECRET_KEY")
FIELD_ENCRYPTION_KEYS: str = env("FIELD_ENCRYPTION_KEYS")
DATA_DIR = Path(env("DATA_DIR")).expanduser()
if not DATA_DIR.is_absolute():
    DATA_DIR = BASE_DIR / DATA_DIR

SITE_URL: str = env("SITE_URL").rstrip("/")
_site_host, _site_origin, _https = declared.site_parts(SITE_URL)
ALLOWED_HOSTS: list[str] = list(
    dict.fromkeys([_site_host, *env("ALLOWED_HOSTS"), "localhost", "127.0.0.1", "[::1]"])
)
CSRF_TRUSTED_ORIGINS = [_site_origin]
CSRF_FAILURE_VIEW = "netadmin.access.views.refusals.csrf_failure"

INSTALLED_APPS = [
    "netadmin.access",
    "hosts",
    "probes",
    "netadmin.access.apps.AdminConfig",  # django.contrib.admin, open to administrators only
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_guid",
    "csp",
    "axes",
]

MIDDLEWARE = [
    "netadmin.access.request_ids.PlainIdMiddleware",
    "django_guid.middleware.guid_middleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "netadmin.access.middleware.TokenMiddleware",
    "netadmin.access.middleware.DenyByDefaultMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "netadmin.urls"
WSGI_APPLICATION = "netadmin.wsgi.application"
ASGI_APPLICATION = "netadmin.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "netadmin.access.context.access",
            ],
        },
    },
]

SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 30,
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
        "PRAGMA journal_size_limit=67108864; PRAGMA mmap_size=134217728; PRAGMA cache_size=-20000;"
    ),
}
_database_url: str = env("DATABASE_URL")
if _database_url:
    _database: dict[str, Any] = dict(environ.Env.db_url_config(_database_url))
else:
    _database = {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA_DIR / "netadmin.sqlite3"}
if _database["ENGINE"].endswith("sqlite3"):
    _database["OPTIONS"] = dict(SQLITE_OPTIONS)
    # To open the file anew, with Django's functions and the schema read again, costs a small
    # answer a third of its time.
    _database["CONN_MAX_AGE"] = 600
elif "postgresql" in _database["ENGINE"]:
    _database["CONN_MAX_AGE"] = 600
    _database["CONN_HEALTH_CHECKS"] = True
    # A server that vanished without a word (power, a failover) is noticed within a minute, not
    # after the hours that kernels give an idle connection.
    _options: dict[str, Any] = _database.setdefault("OPTIONS", {})
    for _name, _value in {
        "connect_timeout": 5,
        "keepalives_idle": 20,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "tcp_user_timeout": 40_000,
    }.items():
        _options.setdefault(_name, _value)
else:
    raise ImproperlyConfigured("DATABASE_URL must be postgres:// or sqlite://.")
DATABASES = {"default": _database}

# --- people -----------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "netadmin.access.backends.RoleBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"
TRUSTED_PROXIES: int = env("TRUSTED_PROXIES")
# Ten bad logins lock that name from that address for a minute; the owner still logs in elsewhere.
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 1 / 60
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "netadmin.access.views.refusals.locked_out"
AXES_CLIENT_IP_CALLABLE = "netadmin.access.audit.client_address"
AXES_DISABLE_ACCESS_LOG = True  # logins are in the audit log
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # netadmin.access.admin registers it, recorded in the audit log

# --- browser safety ---------------------------------------------------------------------------
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "netadmin_session"
CSRF_COOKIE_NAME = "netadmin_csrf"
LANGUAGE_COOKIE_SECURE = _https
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = _https
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# --- language and time ------------------------------------------------------------------------
USE_TZ = True
TIME_ZONE: str = env("TIME_ZONE")
USE_I18N = True
LANGUAGE_CODE: str = env("LANGUAGE_CODE")
LANGUAGES = [("en", _("English")), ("zh-hans", "简体中文"), ("zh-hant", "繁體中文")]
LOCALE_PATHS = [BASE_DIR / "netadmin" / "locale"]

# --- files ------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "netadmin" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- work -------------------------------------------------------------------------------------
_broker: str = (
    env("CELERY_BROKER_URL") or env("REDIS_URL") or f"redis+socket://{DATA_DIR / 'broker.sock'}"
)
CELERY_BROKER_URL = _broker
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# One process of many threads keeps the SSH connections open; docs/decisions.md has the figures.
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = 32
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_SOFT_TIME_LIMIT = 120
CELERY_TASK_TIME_LIMIT = 180
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"

API_PER_MINUTE: int = env("API_PER_MINUTE")
LIVE_PER_MINUTE: int = env("LIVE_PER_MINUTE")
EVENT_STREAMS: int = env("EVENT_STREAMS")
PROBE_INTERVAL_S: int = env("PROBE_INTERVAL_S")
PROBE_TABLES_MINUTES: int = env("PROBE_TABLES_MINUTES")
PROBE_DEADLINE_S: int = env("PROBE_DEADLINE_S")
PROBE_MAX_BYTES: int = env("PROBE_MAX_BYTES")
PROBE_THREADS: int = env("PROBE_THREADS")
CONNECT_BACK: bool = env("CONNECT_BACK")
REVERSE_DNS: bool = env("REVERSE_DNS")
DNS_SERVERS: list[tuple[str, int]] = declared.dns_servers(env("DNS_SERVERS"))
OUTBOUND_ALLOWED_NETWORKS = declared.networks(env("OUTBOUND_ALLOWED_NETWORKS"))
CMDB_FILES_DIR: Path | None = declared.folder("CMDB_FILES_DIR", env("CMDB_FILES_DIR"))
COMMON_PORTS: tuple[int, ...] = declared.common_ports(env("COMMON_PORTS"))
PORT_NAMES: bool = env("PORT_NAMES")
ALERT_QUIET_S: int = env("ALERT_QUIET_S")
ALERT_MAX_WAIT_S: int = env("ALERT_MAX_WAIT_S")
RETENTION_DAYS: int = env("RETENTION_DAYS")
ROLLUP_RETENTION_DAYS: int = env("ROLLUP_RETENTION_DAYS")
RAW_RETENTION_DAYS: int = env("RAW_RETENTION_DAYS")

_email: dict[str, Any] = dict(environ.Env.email_url_config(env("EMAIL_URL")))
EMAIL_BACKEND = _email["EMAIL_BACKEND"]
EMAIL_HOST = _email.get("EMAIL_HOST", "")
EMAIL_PORT = _email.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = _email.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _email.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = bool(_email.get("EMAIL_USE_TLS", False))
EMAIL_USE_SSL = bool(_email.get("EMAIL_USE_SSL", False))
EMAIL_TIMEOUT = 30
DEFAULT_FROM_EMAIL = SERVER_EMAIL = declared.mail_sender(env("EMAIL_FROM"), _site_host)

# --- requests' ids, in answers and in the log: netadmin.access.request_ids ----------------------
DJANGO_GUID = {
    "GUID_HEADER_NAME": "X-Request-ID",
    "VALIDATE_GUID": False,  # any plain word will do; what is none does not come so far
    "EXPOSE_HEADER": False,
}

# --- logs -------------------------------------------------------------------------------------
LOG_LEVEL: str = env("LOG_LEVEL").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "netadmin.logs.EscapingFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s",
        }
    },
    "filters": {"request_id": {"()": "netadmin.logs.RequestId"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "plain",
            "filters": ["request_id"],
        }
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "paramiko": {"level": "WARNING" if LOG_LEVEL != "DEBUG" else "INFO"},
        "django.db.backends": {"level": "INFO"},
        # They would write the addresses that are asked, which hold tokens.
        "urllib3": {"level": "WARNING"},
        "apprise": {"level": "CRITICAL"},
        "axes": {"level": "WARNING"},
        # It would write that it started and ended with each request.
        "mcp": {"level": "WARNING"},
        "django_guid": {"level": "WARNING"},  # two lines for each request
    },
}
