"""The statements that read and move the ledger."""

from __future__ import annotations

from sqlalchemy import text

LOCK = text("""
select feed, partition, topic_id, next_offset from ledger
where feed = any(cast(:feeds as text []))
order by feed, partition
for update
""")

READ = text("""
select feed, partition, next_offset, latest_event_time from ledger
where feed = any(cast(:feeds as text []))
order by feed, partition
""")

MOVE = text("""
insert into ledger (feed, partition, topic_id, next_offset)
values (:feed, :partition, :topic_id, :next_offset)
on conflict (feed, partition) do update set next_offset = excluded.next_offset, updated_at = now()
""")

ADD = text("""
update ledger set
    received = received + :received,
    counted = counted + :received - :duplicate - :invalid - :unmatched,
    duplicate = duplicate + :duplicate,
    invalid = invalid + :invalid,
    unmatched = unmatched + :unmatched,
    latest_event_time = greatest(latest_event_time, to_timestamp(cast(:latest_s as bigint)))
where feed = :feed and partition = :partition
""")

OBSERVE = text("""
insert into topic_ends (feed, partition, end_offset) values (:feed, :partition, :end_offset)
on conflict (feed, partition) do update set end_offset = excluded.end_offset, observed_at = now()
""")
