"""Limits log-in attempts: by form and by API together, and for all of Superset's processes.

Superset's own AUTH_RATE_LIMITED counts in each process by itself, leaves out the API, and in Superset 6 limits a view
that takes no password.
"""

import fcntl
import time
from pathlib import Path

from flask import Flask, Response, jsonify, request

MOST, WITHIN_S = 10, 60
PATHS = ("/login/", "/api/v1/security/login")


class LogIns:
    """The times of the latest attempts, in a file that all processes share."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def wait_s(self) -> float:
        """Note an attempt that is made now, and return 0; or how long to wait, if there were too many."""
        with self.path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            # Of the machine, not of the day: setting the clock changes nothing.
            now = time.monotonic()
            latest = [at for at in map(float, file.read().split()) if now - WITHIN_S < at <= now]
            if len(latest) >= MOST:
                return latest[0] + WITHIN_S - now
            file.truncate(0)
            file.write("".join(f"{at!r}\n" for at in [*latest, now]))
        return 0

    def limit(self, app: Flask) -> None:
        """Refuse the attempts beyond the most that are allowed, by 429 and when to try again."""

        def refuse() -> Response | None:
            if request.method != "POST" or request.path not in PATHS:
                return None
            wait_s = self.wait_s()
            if not wait_s:
                return None
            # Read to its end: a connection that is closed with unread bytes is reset, and the answer is lost.
            request.get_data(cache=False)
            refused = jsonify(message=f"Too many log-in attempts; try again in {wait_s:.0f} s")
            refused.status_code = 429
            refused.headers["Retry-After"] = str(int(wait_s) + 1)
            return refused

        # Before all others, such as the check of the form's token.
        app.before_request_funcs.setdefault(None, []).insert(0, refuse)
