-- A month of totals and data plans, for the queries of the charts.

-- name: remove_all
-- Empties the tables that are loaded here.
truncate bytes, bytes_hourly, hours, agreements, billing_periods, data_plan_usage, threshold_events;

-- name: load_totals
-- Writes a total by five minutes of each antenna, app and user.
with keys as (
    select
        'antenna_bytes_total' as type,
        'antenna ' || n as id
    from generate_series(1, :antennas) as n
    union all
    select
        'app_bytes_total' as type,
        'app ' || n as id
    from generate_series(1, :apps) as n
    union all
    select
        'user_bytes_total' as type,
        'user ' || n as id
    from generate_series(1, :users) as n
),

windows as (
    select generate_series(
        date_trunc('hour', now()) - :days * interval '1 day', now(), interval '5 minutes'
    ) as starts_at
)

insert into bytes (type, id, timestamp, value)
select
    keys.type,
    keys.id,
    windows.starts_at,
    cast(1e6 * random() as bigint) as value
from windows
cross join keys;

-- name: load_hourly_totals
-- Writes the totals by hour as the hourly recompute does; the last two hours are not recomputed yet.
insert into bytes_hourly (type, id, timestamp, value)
select
    type,
    id,
    date_trunc('hour', timestamp, 'UTC') as hour,
    cast(sum(value) as bigint) as value
from bytes
where timestamp < date_trunc('hour', now()) - interval '1 hour'
group by 1, 2, 3;

-- name: load_hours
-- Makes all hours recomputed, but the last two dirty.
insert into hours (feed, hour, recomputed_version, recomputed_at)
select
    'devices' as feed,
    at as hour,
    case when at < date_trunc('hour', now()) - interval '1 hour' then 1 end as recomputed_version,
    now() as recomputed_at
from generate_series(
    date_trunc('hour', now()) - :days * interval '1 day', now(), interval '1 hour'
) as h (at);

-- name: load_agreements
-- Writes agreements of one year, all with the same limit.
insert into agreements (
    id, msisdn, signed_at, service_start_at, billing_period_time_zone, max_bytes_in_billing_period, thresholds,
    anchor_day
)
select
    'agreement ' || n as id,
    cast(48500000000 + n as text) as msisdn,
    now() as signed_at,
    now() - interval '1 year' as service_start_at,
    'Europe/Warsaw' as billing_period_time_zone,
    5368709120 as max_bytes_in_billing_period,
    '{50,80,100}' as thresholds,
    1 as anchor_day
from generate_series(1, :agreements) as n;

-- name: load_periods
-- Writes three billing periods of each agreement; the last one is open.
insert into data_plan_usage (
    agreement_id, period_start, period_end, year, month, total_recorded_bytes, latest_recorded_at, status,
    billing_period_time_zone, max_bytes_in_billing_period, thresholds
)
select
    a.id,
    p.period_start,
    p.period_start + interval '1 month' as period_end,
    extract(year from p.period_start) as year,
    extract(month from p.period_start) as month,
    cast(6e9 * random() ^ 2 as bigint) as total_recorded_bytes,
    p.period_start as latest_recorded_at,
    case when p.period_start + interval '1 month' < now() then 'closed' else 'open' end as status,
    a.billing_period_time_zone,
    a.max_bytes_in_billing_period,
    a.thresholds
from agreements as a
cross join generate_series(
    date_trunc('month', now()) - interval '2 months', now(), interval '1 month'
) as p (period_start);

-- name: load_events
-- Writes a threshold event of each billing period, at random in the last 30 days.
insert into threshold_events (
    event_id, agreement_id, period_start, type, threshold_percent, total_recorded_bytes, payload, source, emitted_at
)
select
    gen_random_uuid() as event_id,
    agreement_id,
    period_start,
    'DATA_PLAN_THRESHOLD_REACHED' as type,
    50 as threshold_percent,
    0 as total_recorded_bytes,
    '' as payload,
    'live' as source,
    now() - 30 * random() * interval '1 day' as emitted_at
from data_plan_usage;
