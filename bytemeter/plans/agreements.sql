-- name: read_agreements
-- Reads agreements by id.
select
    id,
    msisdn,
    signed_at,
    service_start_at,
    billing_period_time_zone,
    max_bytes_in_billing_period,
    thresholds,
    anchor_day
from agreements
where id = any(cast(:ids as text[]));

-- name: write_agreements
-- Writes agreements over the stored ones. Lists within a list would have to be of equal length: the thresholds of each
-- agreement come as JSON.
insert into agreements (
    id, msisdn, signed_at, service_start_at, billing_period_time_zone, max_bytes_in_billing_period, thresholds,
    anchor_day
)
select
    a.id,
    a.msisdn,
    a.signed_at,
    a.starts_at,
    a.time_zone,
    a.max_bytes,
    cast(translate(a.thresholds, '[]', '{}') as integer[]) as thresholds,
    a.anchor_day
from
    unnest(
        cast(:ids as text[]), cast(:msisdns as text[]), cast(:signed as timestamptz[]),
        cast(:starts as timestamptz[]), cast(:zones as text[]), cast(:limits as bigint[]),
        cast(:thresholds as text[]), cast(:anchor_days as smallint[])
    ) as a (id, msisdn, signed_at, starts_at, time_zone, max_bytes, thresholds, anchor_day)
on conflict (id) do update set
    msisdn = excluded.msisdn,
    signed_at = excluded.signed_at,
    service_start_at = excluded.service_start_at,
    billing_period_time_zone = excluded.billing_period_time_zone,
    max_bytes_in_billing_period = excluded.max_bytes_in_billing_period,
    thresholds = excluded.thresholds,
    anchor_day = excluded.anchor_day;

-- name: set_served_until
-- Updates until when the agreements of these MSISDNs serve: until the next one of the MSISDN starts. Of two that start
-- at the same instant the one signed later serves, the other never does. About "any(array)" see "Lookups" in
-- docs/architecture.md.
with followed as (
    select
        id,
        coalesce(
            lead(service_start_at) over (partition by msisdn order by service_start_at, signed_at, id),
            timestamptz 'infinity'
        ) as served_until
    from agreements
    where msisdn = any(cast(:msisdns as text[]))
)

update agreements as a set served_until = f.served_until
from followed as f
where a.id = any(array[f.id]) and f.served_until <> a.served_until;

-- name: open_first_periods
-- Opens for each of these agreements the period in which it arrived, or that of its start if that is later.
select open_periods(array_agg(a.id), array_agg(p.period_start))
from agreements as a
inner join billing_periods as p
    on
        p.time_zone = a.billing_period_time_zone
        and p.anchor_day = a.anchor_day
        and p.period_start <= greatest(a.arrived_at, a.service_start_at)
        and p.period_end > greatest(a.arrived_at, a.service_start_at)
where a.id = any(cast(:ids as text[])) and a.served_until > greatest(a.arrived_at, a.service_start_at);

-- name: apply_limits
-- Updates the open periods of these agreements, whose limit or thresholds changed: as if none of the new thresholds
-- was reached, so that all of them are judged next. Returns the periods.
update data_plan_usage as u
set next_threshold_bytes = next_threshold(a.thresholds, a.max_bytes_in_billing_period, null)
from agreements as a
where u.agreement_id = any(cast(:ids as text[])) and u.status = 'open' and a.id = any(array[u.agreement_id])
returning u.usage_id;
