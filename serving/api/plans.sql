-- name: plan
-- Reads whose an MSISDN is at an instant, and the billing period then: its boundaries as they are stored, or null if
-- they are not computed yet.
select
    s.agreement_id,
    s.msisdn,
    a.service_start_at,
    s.billing_period_time_zone,
    s.anchor_day,
    p.period_start,
    p.period_end,
    p.year,
    p.month
from agreement_services as s
inner join agreements as a on s.agreement_id = a.id
left join billing_periods as p
    on
        s.billing_period_time_zone = p.time_zone
        and s.anchor_day = p.anchor_day
        and p.period_start <= :at
        and p.period_end > :at
where s.msisdn = :msisdn and s.served_from <= :at and s.served_until > :at;

-- name: period
-- Reads limit, thresholds and use of a billing period. There is no use before its first record, and no stored limit
-- before it was opened: then those hold that the agreement's versions give it.
select
    coalesce(u.max_bytes_in_billing_period, t.max_bytes) as max_bytes,
    coalesce(u.thresholds, t.thresholds) as thresholds,
    case when u.latest_recorded_at is not null then u.total_recorded_bytes end as total,
    u.latest_recorded_at,
    coalesce(u.status = 'closed', false) as closed
from agreement_terms(:agreement, :end) as t
left join data_plan_usage as u on u.agreement_id = :agreement and u.period_start = :start;

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
