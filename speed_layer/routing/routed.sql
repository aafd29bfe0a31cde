-- How far what was counted has been sent on, and the decisions about messages that are read again.

-- name: routed_offsets
-- The offset of each partition up to which messages have been sent on, as it was last noted.
select
    partition,
    next_offset
from routed
where feed = :feed;

-- name: counted_offsets
-- The next offset to count of each partition; in the transaction that has moved it.
select
    partition,
    next_offset
from ledger
where feed = :feed;

-- name: note_routed
-- Notes how far messages have been sent on. It never goes back.
insert into routed (feed, partition, next_offset)
values (:feed, :partition, :next_offset)
on conflict (feed, partition) do update set
    next_offset = excluded.next_offset,
    routed_at = now()
where routed.next_offset < excluded.next_offset;

-- name: add_messages
-- Adds to the messages that records of a feed became.
insert into routed_messages (feed, topic, messages)
values (:feed, :topic, :messages)
on conflict (feed, topic) do update set messages = routed_messages.messages + excluded.messages;

-- name: duplicates_between
-- The duplicates of a partition that lie in a range of offsets.
select record_offset
from duplicate_events
where feed = :feed and partition = :partition and record_offset >= :start and record_offset < :end;

-- name: invalid_between
-- The invalid messages of a partition that lie in a range of offsets.
select
    record_offset,
    reason
from invalid_events
where feed = :feed and partition = :partition and record_offset >= :start and record_offset < :end;
