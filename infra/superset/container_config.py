"""Superset's settings in a container: those of ``superset_config.py``, with its own tables in PostgreSQL."""

import os
import sys
from importlib import import_module
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
_BASE = import_module("superset_config")
globals().update({name: getattr(_BASE, name) for name in dir(_BASE) if name.isupper()})

SQLALCHEMY_DATABASE_URI = (Path(os.environ["BYTEMETER_SUPERSET_SECRETS"]) / "database-url-superset/value").read_text()

# A front end ends TLS, and says in headers what was asked for.
ENABLE_PROXY_FIX = True
