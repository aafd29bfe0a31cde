"""Creates Superset's administrator, or gives the existing one another password.

Run by the Python of Superset's environment, with name and password as two input lines.

Superset's own command takes the password as an argument, which every user of the machine could read.
"""

import sys

from superset.app import create_app

name, password = sys.stdin.read().splitlines()
app = create_app()
with app.app_context():
    security = app.appbuilder.sm
    existing = security.find_user(name)
    if existing:
        security.reset_password(existing.id, password)
    elif not security.add_user(
        name, "Bytemeter", "Administrator", "admin@localhost", security.find_role("Admin"), password=password
    ):
        sys.exit(f"the user {name} could not be created")
    if not security.auth_user_db(name, password):
        sys.exit(f"the password of {name} could not be set")
