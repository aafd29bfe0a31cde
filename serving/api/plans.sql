-- name: plan
-- Reads whose an MSISDN is at an instant (now, if null), and the billing period then with its limit, thresholds, use and
-- the periods before it; and when this was read. The boundaries of the period are those that are given, or as they are
-- stored; if they are null, so is all that depends on them. There is no use before its first record, and no stored limit
-- before it was opened: then those hold that the agreement's versions give it. Earlier periods: seconds and total, the
-- latest first. Thresholds: whether the total reaches them (a null total, of no record, reaches none), and when it
-- crossed them by the records' own time.
select
    now() as now,
    (
        select max(ledger.updated_at) from ledger
        where ledger.feed = 'data-records'
    ) as counted_at,
    s.agreement_id,
    s.msisdn,
    a.service_start_at,
    s.billing_period_time_zone,
    s.anchor_day,
    period.starts_at,
    period.ends_at,
    p.year,
    p.month,
    use.max_bytes,
    use.total,
    u.latest_recorded_at,
    coalesce(u.status = 'closed', false) as closed,
    (
        select
            json_agg(
                json_build_array(
                    t.percent,
                    t.threshold_bytes,
                    coalesce(is_reached(use.total, t.threshold_bytes), false),
                    crossed.latest_recorded_at,
                    crossed.total_recorded_bytes
                )
                order by t.percent
            )
        from thresholds_in_bytes(use.thresholds, use.max_bytes) as t
        left join threshold_events as crossed
            on
                s.agreement_id = crossed.agreement_id
                and period.starts_at = crossed.period_start
                and t.percent = crossed.threshold_percent
                and t.threshold_bytes = crossed.threshold_bytes
                and crossed.type in ('DATA_PLAN_THRESHOLD_REACHED', 'DATA_PLAN_EXCEEDED')
    )::text as thresholds,
    (
        select
            json_agg(
                json_build_array(extract(epoch from e.period_end - e.period_start), e.total_recorded_bytes)
                order by e.period_start desc
            )
        from (
            select
                period_start,
                period_end,
                total_recorded_bytes
            from data_plan_usage
            where
                agreement_id = s.agreement_id and period_start < period.starts_at and total_recorded_bytes > 0
            order by period_start desc
            limit 12
        ) as e
    )::text as earlier
from agreement_services as s
inner join agreements as a on s.agreement_id = a.id
left join billing_periods as p
    on
        s.billing_period_time_zone = p.time_zone
        and s.anchor_day = p.anchor_day
        and p.period_start <= coalesce(cast(:at as timestamptz), now())
        and p.period_end > coalesce(cast(:at as timestamptz), now())
cross join lateral (
    select
        coalesce(cast(:start as timestamptz), p.period_start) as starts_at,
        coalesce(cast(:end as timestamptz), p.period_end) as ends_at
) as period
left join lateral agreement_terms(s.agreement_id, period.ends_at) as terms on true
left join data_plan_usage as u on s.agreement_id = u.agreement_id and period.starts_at = u.period_start
cross join lateral (
    select
        coalesce(u.max_bytes_in_billing_period, terms.max_bytes) as max_bytes,
        coalesce(u.thresholds, terms.thresholds) as thresholds,
        case when u.latest_recorded_at is not null then u.total_recorded_bytes end as total
) as use
where
    s.msisdn = :msisdn
    and s.served_from <= coalesce(cast(:at as timestamptz), now())
    and s.served_until > coalesce(cast(:at as timestamptz), now());
