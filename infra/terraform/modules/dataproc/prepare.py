#!/opt/bytemeter/venv/bin/python
"""On the cluster's master: applies the migrations as the owner, and makes the logins of the jobs and the dashboards.

Standard input has one JSON object: login -> its URL of PostgreSQL, ``{"owner": …, "jobs": …, "dashboards": …}``. None
of it reaches arguments or files. Run again, it changes the passwords to those of the URLs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import encrypt_password, parse_dsn

SETTINGS = Path("/etc/bytemeter/settings")
# The roles of the migrations, which cannot log in: see sql/migrations/0018_least_rights.sql.
ROLES = {"jobs": "bytemeter_writer", "dashboards": "bytemeter_reader"}


def main() -> int:
    urls = json.load(sys.stdin)
    subprocess.run(["/usr/local/sbin/bytemeter-refresh"], check=True)
    settings = dict(line.split("=", 1) for line in SETTINGS.read_text().splitlines())
    del settings["BYTEMETER_DATABASE_URL_FILE"]  # of the jobs; the owner migrates
    environment = {**os.environ, **settings, "BYTEMETER_DATABASE_URL": urls["owner"]}
    migrated = subprocess.run(["/opt/bytemeter/venv/bin/bytemeter", "migrate"], env=environment, check=False)
    if migrated.returncode:
        return migrated.returncode
    with psycopg2.connect(urls["owner"]) as owner:
        for login, role in ROLES.items():
            make_login(owner, urls[login], role)
    return 0


def make_login(owner: Connection, url: str, role: str) -> None:
    """Create the URL's user with the rights of a role, or give it the URL's password. The server sees only its hash."""
    user, password = (parse_dsn(url)[part] for part in ("user", "password"))
    secret = encrypt_password(password, user, scope=owner, algorithm="scram-sha-256")
    with owner.cursor() as cursor:
        cursor.execute("select 1 from pg_roles where rolname = %s", (user,))
        verb = "alter" if cursor.rowcount else "create"
        login = sql.SQL(verb + " role {} login password {}").format(sql.Identifier(user), sql.Literal(secret))
        cursor.execute(login)
        cursor.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(user)))


if __name__ == "__main__":
    sys.exit(main())
