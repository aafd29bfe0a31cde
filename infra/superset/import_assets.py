"""Imports Bytemeter's dashboards into Superset, or brings them to this version.

Run by the Python of Superset's environment; standard input has the URL of the database that they read, with its login.

Each asset has a fixed uuid: a further import updates it, and users' own assets stay.
"""

import sys
from pathlib import Path

from sqlalchemy.engine import make_url
from superset.app import create_app

ASSETS = Path(__file__).parent / "assets"
DATABASE = "databases/Bytemeter.yaml"
ADDRESS = "{SQLALCHEMY_URI}"

url = make_url(sys.stdin.read().strip()).set(drivername="postgresql+psycopg2")
# Superset takes the password apart from the URL, and encrypts it.
address = url.set(password="X" * 10).render_as_string(hide_password=False)
contents = {path.relative_to(ASSETS).as_posix(): path.read_text() for path in sorted(ASSETS.rglob("*.yaml"))}
contents[DATABASE] = contents[DATABASE].replace(ADDRESS, address)

app = create_app()
with app.app_context():
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.utils.core import override_user

    with override_user(app.appbuilder.sm.find_user("admin")):
        ImportAssetsCommand(contents, passwords={DATABASE: url.password}).run()
