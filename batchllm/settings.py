"""Settings, by environment (12-factor). The table of variables stands in README.md."""

import logging
import os
import sys
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from jobs.display import display_currency
from jobs.logs import configuration

VERSION = "0.1.0"
BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
# One file of two: what a demo keeps beside its data, where DATA_DIR leads to one, or else `.env`. Never
# both: a demo started in the checkout of a production must not reach its database, and no production
# must be as open as a demo that once ran beside it.
_dotenv = BASE_DIR / ".env"
_demo = Path(env("DATA_DIR", default=str(BASE_DIR / "data"))) / "demo.env"
_is_demo = _demo.is_file() and ("DATA_DIR" in os.environ or not _dotenv.is_file())
if _is_demo or _dotenv.is_file():
    environ.Env.read_env(_demo if _is_demo else _dotenv)
DATA_DIR = Path(env("DATA_DIR", default=str(BASE_DIR / "data"))).resolve()

DEBUG = env.bool("DEBUG", default=False)
ENVIRONMENT = env("ENVIRONMENT", default="production")
UPLOAD_DIR = DATA_DIR / "uploads"
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)  # the database and uploads live here


def _secret(name: str, why: str) -> str:
    """A secret from the environment; production does not start without it.

    `collectstatic` (an image is built where there are no secrets) and `simulator` use none.
    """
    value: str = env(name, default="")
    if value:
        return value
    if len(sys.argv) > 1 and sys.argv[1] in ("collectstatic", "simulator"):
        return "unused"
    raise ImproperlyConfigured(f"{name} is not set. {why}")


SECRET_KEY = _secret("SECRET_KEY", "Set it to a long random string and keep it secret.")
FIELD_ENCRYPTION_KEYS = [
    key.strip()
    for key in _secret(
        "FIELD_ENCRYPTION_KEYS",
        "Set it to one or more Fernet keys, separated by commas; the first one encrypts. Make one "
        'with: python -c "from cryptography.fernet import Fernet; '
        'print(Fernet.generate_key().decode())"',
    ).split(",")
    if key.strip()
]
# Health checks on the machine itself ask by a loopback address, whatever the public name.
ALLOWED_HOSTS = [*env.list("ALLOWED_HOSTS", default=[]), "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ALLOW_PRIVATE_ADDRESSES = env.bool("ALLOW_PRIVATE_ADDRESSES", default=False)
# Which transport carries real-time calls: the lean one, or the vendors' own SDKs.
TRANSPORT = env("TRANSPORT", default="lean")

INSTALLED_APPS = [
    "jobs",  # before django_q: its `qcluster` starts both queues
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_q",
    "ninja",
    "axes",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "jobs.api.problems.ProblemMiddleware",
]

ROOT_URLCONF = "batchllm.urls"
WSGI_APPLICATION = "batchllm.wsgi.application"
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
                "jobs.web.context.shell",
            ],
            "builtins": ["jobs.templatetags.batchllm"],
        },
    }
]

# --- Database -------------------------------------------------------------------------------
DATABASES = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'batchllm.sqlite3'}")
}
_database = DATABASES["default"]
if _database["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE: a deferred transaction that turns into a writer fails at once with "database is
    # locked" instead of waiting. WAL lets pages read while a slice writes.
    _database.setdefault("OPTIONS", {}).update(
        transaction_mode="IMMEDIATE",
        timeout=30,
        init_command=(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; "
            "PRAGMA cache_size=-32000; PRAGMA mmap_size=268435456; PRAGMA foreign_keys=ON;"
        ),
    )
else:
    # Every query is bounded in time, a lost connection is noticed within seconds, and a row that
    # somebody forgot to let go is an error soon.
    _database["ENGINE"] = "jobs.postgresql"
    _database.setdefault("OPTIONS", {}).update(
        connect_timeout=5,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=15_000,
        options="-c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000 "
        "-c lock_timeout=2000",
    )
    _database["CONN_MAX_AGE"] = 60
    _database["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Queue ----------------------------------------------------------------------------------
WORKERS = env.int("WORKERS", default=os.cpu_count() or 2)
# What a worker holds is taken back when it was silent for so long; it renews its hold seven times in
# that time.
LEASE_SECONDS = env.int("LEASE_SECONDS", default=20)
# A slice leaves after SLICE_SECONDS; held up by long calls, at most two more of them and ten minutes
# later. The queue's timeout lies well above that, and its retry above what a message can wait behind
# others (retry > timeout * (1 + ceil((queue_limit + bulk) / 1))). A slice that leaves sends nothing for
# up to 20 s, while its last calls end: of twenty minutes that is little, of four it was a twelfth.
SLICE_SECONDS = env.int("SLICE_SECONDS", default=1200)
_TASK_TIMEOUT = 3 * SLICE_SECONDS + 1200
_QUEUE = {
    "queue_limit": 1,
    "bulk": 1,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "guard_cycle": 0.5,
    "poll": 0.25,
    "catch_up": False,
    "timeout": _TASK_TIMEOUT,
    "retry": _TASK_TIMEOUT * 4,
    "recycle": 50,
    "orm": "default",
    "label": "Queue",
    "log_level": "WARNING",
}
Q_CLUSTER = {
    "name": "batchllm",
    "workers": WORKERS,
    **_QUEUE,
    # Short tasks (ingest, expansion, replays, sweeps) do not wait behind slices.
    "ALT_CLUSTERS": {"short": {"workers": 2, **_QUEUE}},
}

# --- Accounts -------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "jobs.web.accounts.locked_out"

# --- Web ------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(env("STATIC_ROOT", default=str(DATA_DIR / "static")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
# Uploads go to a file as they arrive; nothing of them is held in memory.
FILE_UPLOAD_HANDLERS = ["jobs.datasets.uploads.DiskUploadHandler"]
FILE_UPLOAD_TEMP_DIR = UPLOAD_DIR
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
MAX_UPLOAD_BYTES = env.int("MAX_UPLOAD_BYTES", default=4 * 1024**3)

ANSWERS_DAYS = env.int("ANSWERS_DAYS", default=0)  # raw requests and answers; 0: for ever

METRICS_TOKEN = env("METRICS_TOKEN", default="")  # /metrics is open without one

HTTPS = env.bool("HTTPS", default=True)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
CSRF_FAILURE_VIEW = "jobs.web.kept_forms.csrf_failed"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
# The health checks of a container reach the process directly, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    MIDDLEWARE.insert(0, "jobs.web.proxy.ClientAddressMiddleware")
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],  # Tabler's form controls draw their ticks from data: URLs
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}

_email = env.email_url("EMAIL_URL", default="smtp://localhost:25")
MAILERS = {
    "default": {
        "BACKEND": _email["EMAIL_BACKEND"],
        "OPTIONS": {
            option: _email[name]
            for option, name in {
                "host": "EMAIL_HOST",
                "port": "EMAIL_PORT",
                "username": "EMAIL_HOST_USER",
                "password": "EMAIL_HOST_PASSWORD",
                "use_tls": "EMAIL_USE_TLS",
                "use_ssl": "EMAIL_USE_SSL",
            }.items()
            if _email.get(name)
        }
        # A server that is silent holds up other mail, nothing else; not for long either.
        | ({"timeout": 10} if _email["EMAIL_BACKEND"].endswith("smtp.EmailBackend") else {}),
    }
}
EMAIL_FROM = env("EMAIL_FROM", default="batchllm@localhost")
# What links begin with that leave the application (mail, webhooks).
_named = next((host for host in ALLOWED_HOSTS if host.strip("*.") == host), "localhost")
PUBLIC_URL = env("PUBLIC_URL", default="").rstrip("/") or (
    f"https://{_named}" if HTTPS else f"http://{_named}:8000"
)

# What people read beside the USD.
try:
    DISPLAY = display_currency(
        env("DISPLAY_CURRENCY", default=""),
        env("DISPLAY_RATE", default=""),
        env("DISPLAY_RATE_DATE", default=""),
    )
except ValueError as error:
    raise ImproperlyConfigured(str(error)) from None

# Lines for people, or JSON for machines: see `jobs.logs`.
LOG_FORMAT = env("LOG_FORMAT", default="line")
if LOG_FORMAT not in ("line", "json"):
    raise ImproperlyConfigured(f"LOG_FORMAT is line or json, not {LOG_FORMAT}.")
LOGGING = configuration(LOG_FORMAT, env("LOG_LEVEL", default="INFO").upper())
ACCESS_LOG = env.bool("ACCESS_LOG", default=False)
if LOG_FORMAT == "json":
    logging.captureWarnings(True)  # a warning of Python would be a line that is no JSON
