-- name: write_events
-- Writes events that were not written before, and returns their ids.
insert into threshold_events (
    event_id, agreement_id, period_start, type, threshold_percent, threshold_bytes, total_recorded_bytes,
    latest_recorded_at, latest_internal_record_id, ordinal, payload, source
)
select
    e.event_id,
    e.agreement_id,
    e.period_start,
    e.type,
    e.percent,
    e.threshold_bytes,
    e.total_bytes,
    e.latest_recorded_at,
    e.latest_record,
    e.ordinal,
    e.payload,
    :source as source
from
    unnest(
        cast(:ids as uuid[]), cast(:agreements as text[]), cast(:starts as timestamptz[]), cast(:types as text[]),
        cast(:percents as integer[]), cast(:thresholds as bigint[]), cast(:totals as bigint[]),
        cast(:latest_at as timestamptz[]), cast(:latest as text[]), cast(:ordinals as integer[]),
        cast(:payloads as bytea[])
    )
        as e (
            event_id, agreement_id, period_start, type, percent, threshold_bytes, total_bytes, latest_recorded_at,
            latest_record, ordinal, payload
        )
on conflict do nothing
returning event_id;

-- name: lock_publishing
-- Waits until no other process publishes, and keeps others from it until the transaction ends.
lock table event_publishing in exclusive mode;

-- name: unpublished_events
-- Reads the events that are not marked as published, the oldest first.
select
    event_id,
    agreement_id,
    payload
from threshold_events
where published_at is null
order by sequence
limit :most;

-- name: mark_published
-- Marks events as published.
update threshold_events set published_at = :at
where event_id = any(cast(:ids as uuid[]));
