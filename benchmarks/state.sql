-- The tables that jobs write, between two measurements.

-- name: remove_counted
-- Empties what live queries have written, except agreements, their ownership spans and billing periods: a job begins as
-- in the middle of a month.
truncate bytes, billable_monthly, event_counts, hours, seen_ids, seen_segments, duplicate_events, invalid_events,
threshold_events, unmatched_records, routed, routed_messages;

-- name: remove_counted_but_ids
-- Empties what live totals have written, except the event ids.
truncate bytes, hours, duplicate_events, invalid_events;

-- name: size_of_ids
-- Reads the bytes of all event ids, with their indexes, filters and fence keys.
select sum(pg_total_relation_size(oid)) as bytes from pg_class
where relkind = 'r' and (relname = 'seen_segments' or relname like 'seen\_ids%');

-- name: drop_generations
-- Drops the tables of the ids' full segments.
select drop_seen_generation(generation) from seen_generations;

-- name: remove_agreements
-- Empties everything about data plans, and the ledger.
truncate data_plan_usage, plan_segments, threshold_events, agreements, agreement_versions, agreement_services, ledger;

-- name: reset_billing_periods
-- Opens all billing periods, with nothing used.
update data_plan_usage as u set
    total_recorded_bytes = 0,
    latest_recorded_at = null,
    latest_internal_record_id = null,
    status = 'open',
    next_threshold_bytes = next_threshold(u.thresholds, u.max_bytes_in_billing_period, null);

-- name: forget_offsets
-- Deletes the ledger of all feeds but one: their topics are counted again from the beginning.
delete from ledger
where feed <> :kept;

-- name: received
-- Reads how many messages of a feed the ledger has.
select coalesce(sum(received), 0) as received from ledger
where feed = :feed;
