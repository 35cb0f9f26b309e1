"""Every setting of Pursuit; what differs between machines is read from the environment, in the first part."""

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from django.utils.translation import gettext_lazy as _

# ── What differs between machines ────────────────────────────────────────────────────────────────────────────────────

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))  # what Pursuit writes, unless told otherwise below

PURSUIT_ENV = env.str("PURSUIT_ENV", default="local")
if PURSUIT_ENV not in ("local", "production"):
    raise ImproperlyConfigured(f'PURSUIT_ENV is "{PURSUIT_ENV}". Set it to "local" or "production".')
PRODUCTION = PURSUIT_ENV == "production"


def own_secret_key():
    """This will read the key that this machine made for itself at first use: good for one machine of one's own."""
    if PRODUCTION:
        raise ImproperlyConfigured("SECRET_KEY is not set. Set it to a long random text and keep it secret.")
    kept = VAR_DIR / "secret_key"
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    try:
        with kept.open("x") as file:
            kept.chmod(0o600)
            file.write(get_random_secret_key())
    except FileExistsError:
        pass
    return kept.read_text()


SECRET_KEY = env.str("SECRET_KEY", default="") or own_secret_key()
if PRODUCTION and (len(SECRET_KEY) < 32 or SECRET_KEY.startswith("django-insecure-")):
    raise ImproperlyConfigured("SECRET_KEY can be guessed. Set it to a long random text and keep it secret.")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
DEBUG = env.bool("DEBUG", default=False)
if PRODUCTION and DEBUG:
    raise ImproperlyConfigured("DEBUG is on. Pursuit shows its insides to everybody then: unset DEBUG in production.")

PORT = env.int("PORT", default=8000)
SITE_URL = env.str("SITE_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")  # the links in mails begin with it
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if PRODUCTION else ["127.0.0.1", "localhost", "[::1]"])
if PRODUCTION and not ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS is empty. Set it to the names under which Pursuit is reached.")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)  # how many proxies of ours add themselves to X-Forwarded-For

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'pursuit.sqlite3'}")}
REPLICA_URL = env.str("REPLICA_URL", default="")  # of a copy that PostgreSQL keeps, for reports and exports
REPLICA_LAG = env.int("REPLICA_LAG", default=30)  # seconds that it may be late
# The table comes with migrate. Of as few entries as Django keeps by itself, some hundred guesses would push out others.
CACHES = {"default": env.cache_url("CACHE_URL", default="dbcache://cache_entries?max_entries=10000")}
REQUIRE_TWO_STEP = env.str("REQUIRE_TWO_STEP", default="")  # of whom: "administrators", "all", or of nobody
if REQUIRE_TWO_STEP not in ("", "administrators", "all"):
    raise ImproperlyConfigured(f'REQUIRE_TWO_STEP is "{REQUIRE_TWO_STEP}". Set it to "administrators" or "all".')
SUPPORT_CONTACT = env.str("SUPPORT_CONTACT", default="")  # on the help pages: an address, a number, a sentence
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Pursuit <pursuit@localhost>")
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(VAR_DIR / "media")))
IMPORT_MOST_BYTES = env.int("IMPORT_MOST_BYTES", default=50 << 20)  # of a file that is imported
FILES_URL = env.str("FILES_URL", default="")  # where files on records lie: s3://key:secret@host/bucket, or MEDIA_ROOT
BULK_AT_ONCE = env.int("BULK_AT_ONCE", default=50)  # rows that are acted on while a page waits
BULK_MOST = env.int("BULK_MOST", default=10_000)  # rows that are acted on at one go
BOARD_SUMS_AT_ONCE = env.int("BOARD_SUMS_AT_ONCE", default=20_000)  # ever so many opportunities
EXPORT_AT_ONCE = env.int("EXPORT_AT_ONCE", default=5_000)  # rows of a workbook that is made while its reader waits
FILE_MOST_BYTES = env.int("FILE_MOST_BYTES", default=20 << 20)  # of one file on a record
FILE_TYPES = env.list("FILE_TYPES", default=[])  # ends of their names: pdf,docx; all that crm.files knows where empty
FILES_AT_ONCE, FILES_EACH = 20, 500  # of one sending, of one record
UPLOAD_MOST_BYTES = env.int("UPLOAD_MOST_BYTES", default=250 << 20)  # of everything sent at once
IMPORT_MOST_ROWS = env.int("IMPORT_MOST_ROWS", default=200_000)

LOG_FORMAT = env.str("LOG_FORMAT", default="json" if PRODUCTION else "text")
if LOG_FORMAT not in ("json", "text"):
    raise ImproperlyConfigured(f'LOG_FORMAT is "{LOG_FORMAT}". Set it to "json" or "text".')
SLOW_REQUEST_MS = env.int("SLOW_REQUEST_MS", default=1_000)  # a request that takes as long is written as a warning
METRICS_TOKEN = env.str(
    "METRICS_TOKEN", default=""
)  # who brings it is answered at /metrics; empty, there is no such page
if METRICS_TOKEN and len(METRICS_TOKEN) < 20:
    raise ImproperlyConfigured("METRICS_TOKEN can be guessed. Set it to at least 20 letters and digits.")
METRICS_DIR = Path(env.str("METRICS_DIR", default=str(VAR_DIR / "metrics")))  # where the web processes count
METRICS_DIR.mkdir(parents=True, exist_ok=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)  # as prometheus_client asks for it

ORGANISATION_TIME_ZONE = env.str("ORGANISATION_TIME_ZONE", default="Asia/Shanghai")  # whose months the ranking counts
BASE_CURRENCY = env.str("BASE_CURRENCY", default="CNY")

# ── What Pursuit is made of ──────────────────────────────────────────────────────────────────────────────────────────

INSTALLED_APPS = [
    "crm",
    "notices",
    "approvals",
    "customers",
    "opportunities",
    "crm.apps.AdministrationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",
    "django_tasks",
    "django_tasks_db",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",  # without its middleware: to write down each page that somebody opens is not what it is for
    "guardian",
    "import_export",
    "django_htmx",
    "csp",
]

MIDDLEWARE = [
    "crm.middleware.room",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "crm.middleware.private",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "crm.health.health",
    "crm.metrics.metrics",
    "crm.request_log.lines",
    "crm.middleware.methods",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "crm.middleware.whole",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "crm.middleware.profile",
    "crm.two_step.required",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "crm.auditing.refusals",
    "crm.middleware.refusals",
]

ROOT_URLCONF = "crm.urls"
WSGI_APPLICATION = "crm.wsgi.application"
AUTH_USER_MODEL = "crm.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

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
                "crm.navigation.frame",
            ],
        },
    }
]

FORM_RENDERER = "django.forms.renderers.TemplatesSetting"  # a widget's template lies among the pages' templates

# ── The database ─────────────────────────────────────────────────────────────────────────────────────────────────────

database = DATABASES["default"]
database.setdefault("OPTIONS", {})
if database["ENGINE"] == "django.db.backends.sqlite3":
    database["ENGINE"] = "crm.sqlite"
    database["OPTIONS"] |= {
        "transaction_mode": "IMMEDIATE",  # a transaction that reads first and writes later would fail, not wait
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536;"
            "PRAGMA mmap_size = 268435456; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 4000"
        ),
    }
    # A file and not memory, so that a test's threads and its live server meet in the same database.
    database["TEST"] = {"NAME": VAR_DIR / "test.sqlite3"}
else:
    database.setdefault("CONN_MAX_AGE", 600)
    database.setdefault("CONN_HEALTH_CHECKS", True)
    database["OPTIONS"].setdefault("connect_timeout", 10)  # seconds; a server may take the call and say nothing
    database["OPTIONS"].setdefault("options", "-c jit=off")  # to compile one of our queries takes longer than to run it

if REPLICA_URL:
    if database["ENGINE"] == "crm.sqlite":
        raise ImproperlyConfigured("REPLICA_URL is set, but SQLite has no replicas. Set DATABASE_URL to a PostgreSQL.")
    DATABASES["replica"] = {**database, **env.db_url("REPLICA_URL")}
    DATABASE_ROUTERS = ["crm.replica.Router"]

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

# ── Who may come in ──────────────────────────────────────────────────────────────────────────────────────────────────

# One backend, which signs in as allauth does. Any other that grants (guardian's, Django's own, allauth's, which is
# made of it) would be a second door beside the permission table.
AUTHENTICATION_BACKENDS = ["crm.permissions.Backend"]
SILENCED_SYSTEM_CHECKS = ["guardian.W001"]  # asks for guardian's backend
ANONYMOUS_USER_NAME = None  # guardian would add a user row that stands for nobody
GUARDIAN_MONKEY_PATCH_USER = GUARDIAN_MONKEY_PATCH_GROUP = False

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["username", "name", "email"]},
    },
    {"NAME": "crm.sign_in.LongEnough", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 60 * 60

ACCOUNT_ADAPTER = "crm.sign_in.Adapter"
ACCOUNT_FORMS = {
    "login": "crm.sign_in.LoginForm",
    "change_password": "crm.sign_in.ChangePasswordForm",
    "reset_password": "crm.people.ResetPasswordForm",
    "reset_password_from_key": "crm.sign_in.ResetPasswordKeyForm",
    "reauthenticate": "crm.sign_in.ReauthenticateForm",
}
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]  # nobody signs up; allauth wants them to match
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "crm.tokens.LinkTokens"  # noqa: S105  the name of a class
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # a mail to whoever is named by a stranger would be spam
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False  # ends the other sessions; the one in use goes on
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_RATE_LIMITS = {
    "login_failed": "20/m/ip,5/5m/key",
    "reset_password": "10/h/ip,3/h/key",
    "email_wanted": "5/h/user",
}
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES

MFA_ADAPTER = "crm.two_step.Adapter"
MFA_FORMS = {
    "activate_totp": "crm.two_step.AppForm",
    "authenticate": "crm.two_step.CodeForm",
    "authenticate_webauthn": "crm.two_step.PasskeyForm",
    "reauthenticate": "crm.two_step.CodeAgainForm",
    "reauthenticate_webauthn": "crm.two_step.PasskeyAgainForm",
    "login_webauthn": "crm.two_step.PasskeyAloneForm",
    "add_webauthn": "crm.two_step.NewPasskeyForm",
    "edit_webauthn": "crm.two_step.RenamePasskeyForm",
}
MFA_TOTP_ISSUER = "Pursuit"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_TOLERANCE = 1  # a code is good half a minute before and after its own: few clocks are right
MFA_RECOVERY_CODE_COUNT = 10
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"  # by finger, face or PIN: a passkey signs in without a password
MFA_ALLOW_UNVERIFIED_EMAIL = True  # an address of the profile was confirmed, or is the administrator's word

# ── What browsers are told ───────────────────────────────────────────────────────────────────────────────────────────

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],  # the style sheets draw ticks and arrows as data: pictures
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

HTTPS = SITE_URL.startswith("https://")
if PRODUCTION and not HTTPS:
    raise ImproperlyConfigured(f'SITE_URL is "{SITE_URL}". Set it to an address that begins with https://.')
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^livez$", r"^metrics$"]  # asked on this machine, without the proxy
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
if HTTPS:
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
    SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SILENCED_SYSTEM_CHECKS.append("security.W021")  # to preload is for the whole domain, so for its owner, to decide

# ── Languages and times ──────────────────────────────────────────────────────────────────────────────────────────────

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "crm" / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"

# ── Static files ─────────────────────────────────────────────────────────────────────────────────────────────────────

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "crm.assets.Finder",
]
WHITENOISE_USE_FINDERS = not PRODUCTION  # a machine of one's own needs no collectstatic


def files_storage(url):
    """This will give where the files of records lie: an S3-compatible store by its address, else a folder of ours."""
    if not url:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": MEDIA_ROOT / "files"}}
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query))
    if parts.scheme != "s3" or not parts.hostname or not parts.path.strip("/"):
        raise ImproperlyConfigured("FILES_URL is no address of a store. Set it to s3://key:secret@host/bucket.")
    scheme = "http" if asked.get("secure") == "0" else "https"
    options = {
        "access_key": unquote(parts.username or ""),
        "secret_key": unquote(parts.password or ""),
        "bucket_name": parts.path.strip("/"),
        "endpoint_url": f"{scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}",
        "region_name": asked.get("region", "us-east-1"),
        "addressing_style": "path",
        "default_acl": None,
        "file_overwrite": False,
        "signature_version": "s3v4",
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


# The largest page that can be made is where the columns of an import are matched: 200 columns, some hundred fields, and
# for each of these 50 texts that are asked about. What is more than this has a page that says so.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000
FILE_UPLOAD_HANDLERS = [
    "crm.files.Limit",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "files": files_storage(FILES_URL),
    "staticfiles": {
        "BACKEND": "crm.assets.HashedStorage" if PRODUCTION else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# ── What is written down ─────────────────────────────────────────────────────────────────────────────────────────────

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "crm.logs.Json" if LOG_FORMAT == "json" else "crm.logs.Text"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.request": {"level": "ERROR"},  # what was refused is said by the line of its request
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # so is who asked for another host
        "gunicorn.error": {"level": "WARNING", "propagate": True},
    },
}
