"""The billing zone of a database: stored months never move, so all that count in it use the zone of the first one."""

from __future__ import annotations

from sqlalchemy import Connection

from bytemeter.errors import BytemeterError
from bytemeter.settings import PREFIX
from bytemeter.sql import Statements

SQL = Statements(__package__, "billing.sql")


def hold_billing_zone(connection: Connection, zone: str) -> None:
    """Note the billing zone in the caller's transaction if the database has none yet.

    Raises:
        BytemeterError: the database has another one.
    """
    connection.execute(SQL["note_zone"], {"zone": zone})
    require_billing_zone(connection, zone)


def require_billing_zone(connection: Connection, zone: str) -> None:
    """Require that the database has no other billing zone.

    Raises:
        BytemeterError: it has another one.
    """
    noted = connection.scalars(SQL["billing_zone"]).one_or_none()
    if noted not in (None, zone):
        raise BytemeterError(
            f"{PREFIX}BILLING_ZONE is {zone}, but the months of this database are counted in {noted}; set it to "
            f"{noted}: months that are stored never move"
        )
