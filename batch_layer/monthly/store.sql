-- name: clear_staged
-- Removes what earlier jobs have staged.
truncate staged_monthly, monthly_ownership, staged_plan_usage;

-- name: calendars
-- Reads the calendars of all agreements, those that they had before among them.
select distinct
    billing_period_time_zone as time_zone,
    anchor_day
from agreement_services;

-- name: stage_ownership
-- Writes the ownership spans of the month's billing periods to monthly_ownership, which Spark reads.
insert into monthly_ownership (msisdn, served_from_us, served_until_us, agreement_id, period_start)
select
    msisdn,
    to_us(served_from) as served_from_us,
    to_us(served_until) as served_until_us,
    agreement_id,
    period_start
from plan_ownership
where year = :year and month = :month;

-- name: ownership_extent
-- Reads from when to when the staged ownership spans reach, and how many they are.
select
    min(served_from_us) as first_us,
    max(served_until_us) as last_us,
    count(*) as spans
from monthly_ownership;

-- name: keep_live_totals
-- Writes the temporary table live_then, which stays for the session: the month's periods as the live query had counted
-- them at the snapshot.
create temporary table live_then as
select * from data_plan_usage -- noqa: AM04
where year = :year and month = :month;

-- name: missed_thresholds
-- Reads live_then and the staged totals: thresholds that the live totals had not reached and the recomputed ones reach.
select
    s.agreement_id,
    s.period_start,
    t.threshold_bytes
from staged_plan_usage as s
left join live_then as l on s.agreement_id = l.agreement_id and s.period_start = l.period_start
left join
    lateral (
        select
            terms.max_bytes,
            terms.thresholds
        from plan_ownership as o
        cross join lateral agreement_terms(o.agreement_id, o.period_end) as terms
        where o.agreement_id = any(array[s.agreement_id]) and o.period_start = s.period_start
        order by o.period_end desc
        limit 1
    ) as a
    on l.agreement_id is null
cross join
    lateral thresholds_in_bytes(
        coalesce(l.thresholds, a.thresholds), coalesce(l.max_bytes_in_billing_period, a.max_bytes)
    ) as t
where
    s.attempt = :attempt
    and is_reached(s.bytes, t.threshold_bytes)
    and (l.agreement_id is null or t.threshold_bytes >= l.next_threshold_bytes);

-- name: find_differences
-- Writes the temporary table differences, which stays for the session: the periods of which the staged total or latest
-- record is not that of live_then, in pieces. A period without records that nobody opened yet counts as unchanged.
create temporary table differences as
with recomputed as (
    select * from staged_plan_usage
    where attempt = :attempt
)

select
    l.latest_recorded_at as latest_then_at,
    l.latest_internal_record_id as latest_then,
    r.latest,
    coalesce(l.agreement_id, r.agreement_id) as agreement_id,
    coalesce(l.period_start, r.period_start) as period_start,
    coalesce(l.total_recorded_bytes, 0) as before,
    coalesce(r.bytes, 0) as after,
    from_us(r.latest_us) as latest_at,
    (
        row_number() over (
            order by coalesce(l.agreement_id, r.agreement_id), coalesce(l.period_start, r.period_start)
        ) - 1
    ) / :at_once as piece
from live_then as l
full join recomputed as r on l.agreement_id = r.agreement_id and l.period_start = r.period_start
where
    coalesce(l.total_recorded_bytes, 0) <> coalesce(r.bytes, 0)
    or (l.latest_recorded_at, l.latest_internal_record_id) is distinct from (from_us(r.latest_us), r.latest);

-- name: first_differences
-- Reads the first of the differences.
select
    agreement_id,
    period_start,
    before,
    after
from differences
order by agreement_id, period_start
limit :most;
