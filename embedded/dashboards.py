"""The dashboards on the embedded Superset: started with a login to the database, and stopped without leaving it."""

from __future__ import annotations

from contextlib import suppress

from bytemeter.errors import BytemeterError
from bytemeter.postgres import database
from bytemeter.settings import Settings
from embedded.superset import SupersetServer
from serving.dashboards import SupersetClient
from serving.logins import SupersetLogin


def serve_dashboards(
    superset: SupersetServer, settings: Settings, *, demo: bool = False, lasting: bool = False
) -> SupersetClient:
    """Start Superset, let it read the database, and import our dashboards.

    Args:
        demo: see ``SupersetServer.start``.
        lasting: see ``SupersetServer.start``.

    Raises:
        BytemeterError: Superset could not be installed or started, or the database lacks the reader role.
        TransientError: PostgreSQL cannot be reached.
    """
    running = superset.start(demo=demo, lasting=lasting)
    login = SupersetLogin(database(settings.require_database_url()), superset.folder)
    running.import_assets(login.renew())
    return running


def stop_dashboards(superset: SupersetServer, settings: Settings) -> bool:
    """Stop Superset, and remove its login from the database if that can be reached; True if it was running."""
    stopped = superset.stop()
    if stopped and settings.database_url:
        with suppress(BytemeterError):
            SupersetLogin(database(settings.require_database_url()), superset.folder).drop()
    return stopped
