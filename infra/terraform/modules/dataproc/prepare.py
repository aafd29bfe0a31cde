#!/opt/bytemeter/venv/bin/python
"""On the cluster's master: applies the migrations as the owner, and makes the other logins and Superset's database.

Standard input has one JSON object: login -> its URL of PostgreSQL, ``{"owner": …, "jobs": …, "dashboards": …,
"superset": …}``. None of it reaches arguments or files. Run again, it changes the passwords to those of the URLs.
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
    # The URLs ask for verified TLS, and leave the authority to this.
    os.environ["PGSSLROOTCERT"] = str(SETTINGS.with_name("postgresql-ca.pem"))
    settings = dict(line.split("=", 1) for line in SETTINGS.read_text().splitlines())
    del settings["BYTEMETER_DATABASE_URL_FILE"]  # of the jobs; the owner migrates
    environment = {**os.environ, **settings, "BYTEMETER_DATABASE_URL": urls["owner"]}
    migrated = subprocess.run(["/opt/bytemeter/venv/bin/bytemeter", "migrate"], env=environment, check=False)
    if migrated.returncode:
        return migrated.returncode
    with psycopg2.connect(urls["owner"]) as owner:
        for login, role in ROLES.items():
            grant(owner, role, make_login(owner, urls[login]))
        user = make_login(owner, urls["superset"])
    owner.close()
    own_database(urls["owner"], user, parse_dsn(urls["superset"])["dbname"])
    return 0


def make_login(owner: Connection, url: str) -> str:
    """Create the URL's user, or give it the URL's password, and return its name. The server sees only a hash."""
    user, password = (parse_dsn(url)[part] for part in ("user", "password"))
    secret = encrypt_password(password, user, scope=owner, algorithm="scram-sha-256")
    with owner.cursor() as cursor:
        cursor.execute("select 1 from pg_roles where rolname = %s", (user,))
        verb = "alter" if cursor.rowcount else "create"
        login = sql.SQL(verb + " role {} login password {}").format(sql.Identifier(user), sql.Literal(secret))
        cursor.execute(login)
    return user


def grant(owner: Connection, role: str, user: str) -> None:
    """Give a user the rights of a role."""
    with owner.cursor() as cursor:
        cursor.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(user)))


def own_database(url: str, user: str, name: str) -> None:
    """Create a database that belongs to a user, unless it exists; others may not connect to it."""
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True  # no database is made in a transaction
        with connection.cursor() as cursor:
            cursor.execute("select 1 from pg_database where datname = %s", (name,))
            if not cursor.rowcount:
                database, login = sql.Identifier(name), sql.Identifier(user)
                cursor.execute(sql.SQL("grant {} to current_user").format(login))
                cursor.execute(sql.SQL("create database {} owner {}").format(database, login))
                cursor.execute(sql.SQL("revoke connect on database {} from public").format(database))
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
