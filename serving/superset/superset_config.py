"""Superset's settings: a few processes on one machine, no figure cached, nothing that calls out."""

import os
import sys
from datetime import timedelta
from pathlib import Path

from flask import Flask
from superset.utils.log import StdOutEventLogger

sys.path.append(str(Path(__file__).parent))
from log_ins import LogIns

_HOME = Path(os.environ["BYTEMETER_SUPERSET_HOME"])

# Encrypts the password of the database, so it must not change.
SECRET_KEY = (_HOME / "secret_key").read_text().strip()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{_HOME / 'superset.db'}"

# Signs sessions and tokens, with the key above. It is a new one with each password of the administrator: whoever logged
# in by an earlier password is logged out.
_SESSION_KEY_FILE = _HOME / "session_key"  # missing while Superset is installed: nobody can log in
_SESSION_KEY = _SESSION_KEY_FILE.read_text().strip() if _SESSION_KEY_FILE.exists() else ""
JWT_SECRET_KEY = SECRET_KEY + _SESSION_KEY

# Charts show what the tables hold now: no figures are cached. Users' filters and drafts are kept in files, for all
# processes; menus and page settings for a minute in each process.
_OFF = {"CACHE_TYPE": "NullCache"}
_IN_FILES = {
    "CACHE_TYPE": "FileSystemCache",
    "CACHE_DIR": str(_HOME / "chosen"),
    "CACHE_DEFAULT_TIMEOUT": 86_400,
    "CACHE_THRESHOLD": 1_000,
}
CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache"}
DATA_CACHE_CONFIG = _OFF
FILTER_STATE_CACHE_CONFIG = _IN_FILES
EXPLORE_FORM_DATA_CACHE_CONFIG = _IN_FILES

# Queries run in the request. User actions go to the log, not to SQLite, which allows one writer at a time.
CELERY_CONFIG = None
RESULTS_BACKEND = None
EVENT_LOGGER = StdOutEventLogger()

FEATURE_FLAGS = {
    # All charts are drawn at once, also those below the visible part of the page.
    "DASHBOARD_VIRTUALIZATION": False,
}
PERMANENT_SESSION_LIFETIME = timedelta(days=7)

# Pages load nothing from elsewhere.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}
THEME_DARK = None

# "Last day" ends now, not last midnight.
DEFAULT_RELATIVE_START_TIME = "now"
DEFAULT_RELATIVE_END_TIME = "now"

# Analysts read large tables; the timeout of the database login ends slow queries.
ROW_LIMIT = 10_000
SUPERSET_WEBSERVER_TIMEOUT = 60
LOG_LEVEL = "WARNING"
SILENCE_FAB = True


# Ours, for all processes and for the API, too; see log_ins.py.
AUTH_RATE_LIMITED = False
RATELIMIT_ENABLED = False


def FLASK_APP_MUTATOR(app: Flask) -> None:  # noqa: N802
    """Called by Superset with its application."""
    app.session_interface.salt = f"cookie-session {_SESSION_KEY}"
    LogIns(_HOME / "log_ins").limit(app)
