"""Creates Superset's administrator; run by the Python of its environment, with name and password as two input lines.

Superset's own command takes the password as an argument, which every user of the machine could read.
"""

import sys

from superset.app import create_app

name, password = sys.stdin.read().splitlines()
app = create_app()
with app.app_context():
    security = app.appbuilder.sm
    role = security.find_role("Admin")
    if not security.add_user(name, "Bytemeter", "Administrator", "admin@localhost", role, password=password):
        sys.exit(f"the user {name} could not be created")
