-- The ledger and the topics' end offsets, as a live query reads and moves them.

-- name: session_settings
-- Settings of the session that counts. A server process notices soon that its client was killed or frozen, and lets go
-- of its locks. A micro-batch is sorted and joined in memory. Stored tables are read by their indexes even while
-- PostgreSQL's statistics say that they are empty (see speed_layer/postgres/lookups.py).
set client_connection_check_interval = '500ms';
set idle_in_transaction_session_timeout = '60s';
set statement_timeout = '10min';
set work_mem = '128MB';
set temp_buffers = '256MB';
set enable_seqscan = off;

-- name: lock_ledger
-- The ledger rows of some feeds, locked until the transaction ends. They are locked in the order of the primary key, so
-- that two transactions cannot deadlock.
select
    feed,
    partition,
    topic_id,
    next_offset
from ledger
where feed = any(cast(:feeds as text[]))
order by feed, partition
for update;

-- name: read_ledger
-- The next offset and the latest event time of each partition of some feeds.
select
    feed,
    partition,
    next_offset,
    latest_event_time
from ledger
where feed = any(cast(:feeds as text[]))
order by feed, partition;

-- name: move_next_offset
-- Moves a partition of the ledger to the end of a micro-batch; a new partition gets its row here.
insert into ledger (feed, partition, topic_id, next_offset)
values (:feed, :partition, :topic_id, :next_offset)
on conflict (feed, partition) do update set next_offset = excluded.next_offset, updated_at = now();

-- name: add_account
-- Adds what became of the messages of a partition. All that are not duplicate, invalid or unmatched are counted.
update ledger set
    received = received + :received,
    counted = counted + :received - :duplicate - :invalid - :unmatched,
    duplicate = duplicate + :duplicate,
    invalid = invalid + :invalid,
    unmatched = unmatched + :unmatched,
    behind_horizon = behind_horizon + :behind_horizon,
    latest_event_time = greatest(latest_event_time, to_timestamp(cast(:latest_s as bigint)))
where feed = :feed and partition = :partition;

-- name: record_topic_end
-- Records the offset that the next message of a partition gets, for views that show how many messages wait.
insert into topic_ends (feed, partition, end_offset)
values (:feed, :partition, :end_offset)
on conflict (feed, partition) do update set end_offset = excluded.end_offset, observed_at = now();
