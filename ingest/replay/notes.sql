-- What PostgreSQL knows of failed messages that are sent again.

-- name: settle
-- What Kafka has committed was sent.
update invalid_events set replayed_at = now()
where feed = :feed and replay = :number and replayed_at is null;

-- name: release
-- What is still noted without having been sent may be sent by others.
update invalid_events set replay = null
where feed = :feed and replay is not null and replayed_at is null;

-- name: candidates
-- Positions of failed messages that were counted as invalid in a stretch of time, and not sent again.
select
    partition,
    record_offset
from invalid_events
where
    feed = :feed and replayed_at is null
    and received_at >= :since and received_at < :until
order by partition, record_offset;

-- name: replayed
-- How many failed messages of a stretch of time were sent again.
select count(*)
from invalid_events
where
    feed = :feed and replayed_at is not null
    and received_at >= :since and received_at < :until;

-- name: intend
-- Messages that are about to be sent under a number; of each that another replay is about to send no row is changed.
update invalid_events set replay = :number
from unnest(cast(:partitions as integer[]), cast(:offsets as bigint[])) as sent (partition, record_offset)
where
    invalid_events.feed = :feed
    and invalid_events.partition = sent.partition and invalid_events.record_offset = sent.record_offset
    and invalid_events.replay is null and invalid_events.replayed_at is null;

-- name: next_offsets
-- Up to which offset of each partition all records were judged live.
select
    partition,
    next_offset
from ledger
where feed = :feed;

-- name: refused
-- Records of a stretch of event time that the history has although they failed: the clock refused them.
select count(*)
from invalid_events
where feed = :feed and event_time >= :since and event_time < :until;
