-- name: present_spans
-- Reads the ownership spans that reach to where the feed has come in event time. The reader appends a limit.
select
    cast('1' || s.msisdn as bigint) as msisdn_key,
    s.served_from_us,
    s.served_until_us,
    s.usage_id
from plan_segments as s
where
    s.usage_id is not null
    and s.served_until_us > coalesce(
        (
            select to_us(min(l.latest_event_time)) from ledger as l
            where l.feed = 'data-records'
        ), 0
    );

-- name: spans_of_asked
-- Reads for each of asked_msisdns the ownership span that contains all of its records, if there is one. Runs without
-- nested loops; about "any" see speed_layer.postgres.lookups.
select
    asked.msisdn_key,
    s.served_from_us,
    s.served_until_us,
    s.usage_id
from asked_msisdns as asked
inner join plan_segments as s
    on
        s.msisdn = asked.msisdn
        and s.served_from_us <= asked.first_us
        and s.served_until_us > asked.last_us
where s.usage_id is not null and s.msisdn = any(array(select a.msisdn from asked_msisdns as a));

-- name: forget_spans
-- Deletes the ownership spans of these MSISDNs: they are made from plan_ownership again when they are needed.
delete from plan_segments
where msisdn = any(cast(:msisdns as text[]));
