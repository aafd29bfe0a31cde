"""SHARE_ITEMs, which are made of a SHARE: one for each entry of ``params`` of each item; a limited number.

Each of them has all members of its SHARE but what was shared. So without a limit one event of 1 MiB could make many
gigabytes, in one transaction of Kafka.
"""

from __future__ import annotations

from bytemeter.telemetry.members import Members, UnreadableError, items_of, members_of, object_of

SHARE = "SHARE"
MOST_ITEMS = 1_000
MOST_BYTES = 8 * 2**20
PLACE = "/edata/items"


def refused(value: bytes) -> str | None:
    """Why a valid SHARE makes too much, as something that ``PLACE`` violates; None if it does not."""
    members = members_of(value)
    edata = members.get("edata", b"")
    items = sum(len(list_of(object_of(item), "params")) for item in list_of(object_of(edata), "items"))
    if items > MOST_ITEMS:
        return f"over {MOST_ITEMS} SHARE_ITEMs"
    own = sum(len(bytes(members.get(name, b""))) for name in ("edata", "object"))
    if items * (len(value) - own) + len(bytes(edata)) > MOST_BYTES:
        return f"SHARE_ITEMs of over {MOST_BYTES} bytes"
    return None


def list_of(members: Members, name: str) -> list[bytes]:
    """The items of an array; none of what is missing or no array."""
    try:
        return items_of(members.get(name, b""))
    except UnreadableError:
        return []
