"""The records of a micro-batch that carry an event id, and which of them are repeats: temporary tables of the session.

``records`` is filled by the live query; what turns out to be a repeat moves to ``repeats``.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

_COLUMNS = """
    partition integer not null,
    record_offset bigint not null,
    event_us bigint not null,
    id_hash bytea not null,
    content_hash bigint not null,
    value bigint not null
"""


def create_records(connection: Connection, more_columns: str) -> None:
    """Make the two tables, empty at the end of each transaction.

    Both have partition, record_offset, event_us (event time in microseconds since 1970), id_hash (16 bytes),
    content_hash, value (the measure), and the query's own columns, given as SQL.
    """
    for table in ("records", "repeats"):
        connection.exec_driver_sql(f"create temporary table {table} ({_COLUMNS}, {more_columns}) on commit delete rows")


def set_repeats_apart(connection: Connection, feed: str) -> int:
    """Remember the ids in ``seen_ids``, and move the repeats (same id, same hour of event time); how many there are.

    The first counted stays, of equal ids in one micro-batch the lowest (partition, offset). Repeats are listed in
    ``duplicate_events``, as conflicts where the content differs.
    """
    connection.execute(_NO_NESTED_LOOPS)
    repeats = connection.execute(_REMEMBER, {"feed": feed}).rowcount
    connection.execute(_ANY_PLAN)
    if repeats:
        connection.execute(_REMOVE)
        connection.execute(_LIST, {"feed": feed})
    return repeats


# The planner knows nothing of the rows just written, and would compare each with each.
_NO_NESTED_LOOPS = text("set local enable_nestloop = off")
_ANY_PLAN = text("set local enable_nestloop = on")

# Inserted, within each hour, in the order of the index. What was not inserted is a repeat: few rows, on which the later
# statements stand.
_REMEMBER = text("""
with remembered as (
    insert into seen_ids (feed, hour, id_hash, partition, record_offset, content_hash)
    select distinct on (id_hash, hour)
        :feed, to_timestamp(event_us / 3600000000 * 3600) as hour, id_hash, partition, record_offset, content_hash
    from records
    order by id_hash, hour, partition, record_offset
    on conflict do nothing
    returning partition, record_offset
)

insert into repeats
select *
from records as r
where not exists (
    select from remembered as s where s.partition = r.partition and s.record_offset = r.record_offset
)
""")

_REMOVE = text("""
delete from records as r using repeats as s where r.partition = s.partition and r.record_offset = s.record_offset
""")

_LIST = text("""
insert into duplicate_events (feed, partition, record_offset, event_time, first_partition, first_offset, conflict)
select
    :feed, r.partition, r.record_offset, to_timestamp(r.event_us / 1000000),
    seen.partition, seen.record_offset, seen.content_hash <> r.content_hash
from repeats as r
inner join seen_ids as seen
    on seen.feed = :feed
    and seen.hour = to_timestamp(r.event_us / 3600000000 * 3600)
    and seen.id_hash = r.id_hash
""")
