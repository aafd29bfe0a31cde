"""The 20 users of the simulated phones, with their quotas."""

from __future__ import annotations

from sqlalchemy import Engine, text

from bytemeter.postgres import one_line_errors

_USERS = 20
_QUOTAS = (1_000_000, 3_000_000, 10_000_000, 50_000_000)


def provision(engine: Engine) -> int:
    """Write the users to ``user_metadata`` with their quotas (bytes per hour); existing users stay unchanged.

    Returns:
        How many users are new.

    Raises:
        BytemeterError: the table is missing; run `bytemeter migrate`.
        TransientError: PostgreSQL could not be reached.
    """
    users = [
        {
            "id": f"00000000-0000-0000-0000-{n:012d}",
            "name": f"User {n:02d}",
            "email": f"user{n:02d}@example.com",
            "quota": _QUOTAS[n % len(_QUOTAS)],
        }
        for n in range(1, _USERS + 1)
    ]
    insert = text(
        "insert into user_metadata (id, name, email, quota) values (:id, :name, :email, :quota) "
        "on conflict do nothing returning id"
    )
    with one_line_errors(engine.url), engine.begin() as connection:
        return sum(connection.execute(insert, user).rowcount for user in users)
