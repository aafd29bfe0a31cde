-- name: plan
-- Reads the agreement that serves an MSISDN at an instant.
select
    id,
    msisdn,
    service_start_at,
    billing_period_time_zone,
    anchor_day,
    max_bytes_in_billing_period,
    thresholds
from agreements
where msisdn = :msisdn and service_start_at <= :at and served_until > :at;

-- name: period
-- Reads the use of a billing period; no row before its first record, unless it was opened by its agreement.
select
    total_recorded_bytes,
    latest_recorded_at,
    status
from data_plan_usage
where agreement_id = :agreement and period_start = :start;

-- name: thresholds
-- Reads the thresholds of a plan, whether the total reaches them, and when it crossed them by the records' own time. A
-- null total, of no record, reaches none.
select
    t.percent,
    t.threshold_bytes,
    coalesce(is_reached(cast(:total as bigint), t.threshold_bytes), false) as reached,
    crossed.latest_recorded_at as crossed_at,
    crossed.total_recorded_bytes as total_at_crossing
from thresholds_in_bytes(cast(:thresholds as integer[]), :limit) as t
left join threshold_events as crossed
    on
        crossed.agreement_id = :agreement
        and crossed.period_start = :start
        and t.percent = crossed.threshold_percent
        and t.threshold_bytes = crossed.threshold_bytes
        and crossed.type in ('DATA_PLAN_THRESHOLD_REACHED', 'DATA_PLAN_EXCEEDED')
order by t.percent;

-- name: earlier_periods
-- Reads the periods before this one, the latest first.
select
    period_start,
    period_end,
    total_recorded_bytes
from data_plan_usage
where agreement_id = :agreement and period_start < :start and total_recorded_bytes > 0
order by period_start desc
limit 12;
