-- name: fill_windows
-- Writes 30 days of windows of 5 minutes for 20 apps and 100 antennas; all hours but the last two are recomputed.
insert into bytes (type, id, timestamp, value)
select
    d.type,
    d.prefix || n as id,
    date_trunc('hour', now()) - w * interval '5 minutes' as timestamp,
    (w * 7919 + n * 104729) % 1000000007 as value
from (values ('app_bytes_total', 'app-', 20), ('antenna_bytes_total', 'antenna-', 100)) as d (type, prefix, ids)
cross join generate_series(1, 30 * 288) as w
cross join lateral generate_series(1, d.ids) as n
on conflict do nothing;

-- name: fill_hours
-- Writes the recomputed hours of these windows.
insert into bytes_hourly (type, id, timestamp, value)
select
    type,
    id,
    date_trunc('hour', timestamp) as hour,
    sum(value) as value
from bytes
where timestamp < now() - interval '2 hours'
group by 1, 2, 3
on conflict do nothing;

-- name: fill_states
-- Writes which hours are recomputed.
insert into hours (feed, hour, recomputed_version, recomputed_at)
select
    'devices' as feed,
    hour,
    case when hour < now() - interval '2 hours' then 1 end as recomputed_version,
    now() as recomputed_at
from generate_series(date_trunc('hour', now()) - interval '30 days', now(), interval '1 hour') as hour
on conflict do nothing;

-- name: fill_agreements
-- Writes an agreement for each user, with use in this month.
insert into agreements (
    id,
    msisdn,
    signed_at,
    service_start_at,
    billing_period_time_zone,
    max_bytes_in_billing_period,
    thresholds,
    anchor_day
)
select
    'agreement-' || n as id,
    (48500000000 + n)::text as msisdn,
    timestamptz '2025-01-01' as signed_at,
    timestamptz '2025-01-01' as service_start_at,
    'UTC' as zone,
    5368709120 as max_bytes,
    '{50,80,100}'::integer[] as thresholds,
    1 as anchor_day
from generate_series(1, :users) as n;

-- name: fill_versions
-- Writes the one version of each agreement.
insert into agreement_versions (
    id, effective_from, received_at, holds_until, partition, record_offset, msisdn, signed_at, service_start_at,
    billing_period_time_zone, max_bytes_in_billing_period, thresholds, anchor_day
)
select
    id,
    service_start_at as effective_from,
    service_start_at as received_at,
    timestamptz '9999-01-01T00:00Z' as holds_until,
    0 as partition,
    row_number() over () as record_offset,
    msisdn,
    signed_at,
    service_start_at,
    billing_period_time_zone,
    max_bytes_in_billing_period,
    thresholds,
    anchor_day
from agreements;

-- name: fill_services
-- Writes that each agreement owns the records of its number.
insert into agreement_services (
    msisdn, served_from, served_until, agreement_id, billing_period_time_zone, anchor_day
)
select
    msisdn,
    service_start_at as served_from,
    timestamptz '9999-01-01T00:00Z' as served_until,
    id as agreement_id,
    billing_period_time_zone,
    anchor_day
from agreements;

-- name: fill_usage
-- Writes the use of each agreement in this month.
insert into data_plan_usage (
    agreement_id, period_start, period_end, year, month, billing_period_time_zone, max_bytes_in_billing_period,
    thresholds, total_recorded_bytes, latest_recorded_at, latest_internal_record_id
)
select
    id,
    date_trunc('month', now()) as period_start,
    date_trunc('month', now()) + interval '1 month' as period_end,
    extract(year from now())::integer as year,
    extract(month from now())::integer as month,
    billing_period_time_zone,
    max_bytes_in_billing_period,
    thresholds,
    2900000000 as total,
    now() as latest_recorded_at,
    'i' as latest_internal_record_id
from agreements;

-- name: fill_bills
-- Writes what a million events of 100,000 customers come to: a total of each customer in each of 12 months.
insert into billable_monthly (month, dimension, id, total)
select
    date_trunc('month', now()) - m * interval '1 month' as month,
    'customer' as dimension,
    'customer-' || n as id,
    n * 0.01 as total
from generate_series(0, 11) as m
cross join generate_series(1, 100000) as n;

-- name: analyse
-- Tells the planner about them.
analyze
bytes, bytes_hourly, hours, agreements, agreement_versions, agreement_services, data_plan_usage, billable_monthly;

-- name: cross_threshold
-- Writes a threshold event.
insert into threshold_events (
    event_id, agreement_id, period_start, type, total_recorded_bytes, ordinal, payload, source
)
values (
    gen_random_uuid(), :agreement, now(), 'DATA_PLAN_EXCEEDED', 1, :ordinal,
    convert_to('{"agreementId":"x","totalRecordedBytes"\:1}', 'UTF8'), 'live'
);
