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
        select t.* -- noqa: AM04
        from plan_ownership as o
        cross join lateral agreement_terms(o.agreement_id, o.period_end) as t
        where o.agreement_id = any(array[s.agreement_id]) and o.period_start = s.period_start
        limit 1
    ) as a on l.agreement_id is null
cross join
    lateral thresholds_in_bytes(
        coalesce(l.thresholds, a.thresholds), coalesce(l.max_bytes_in_billing_period, a.max_bytes)
    ) as t
where
    s.attempt = :attempt
    and is_reached(s.bytes, t.threshold_bytes)
    and (l.agreement_id is null or t.threshold_bytes >= l.next_threshold_bytes);

-- name: lock_ledger
-- Waits until no transaction counts these feeds, and keeps others from it.
select from ledger
where feed = any(cast(:feeds as text[]))
order by feed, partition for update;

-- name: find_differences
-- Writes the temporary table differences: the periods of which the staged total or latest record is not that of
-- live_then. A period without records that nobody opened yet counts as unchanged.
create temporary table differences on commit drop as
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
    from_us(r.latest_us) as latest_at
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

-- name: open_periods_of_month
-- Opens periods of which the live query did not know that they have records, and periods that were never opened because
-- the one before did not close: these close, too.
select open_periods(array_agg(o.agreement_id), array_agg(o.period_start))
from (
    select distinct
        p.agreement_id,
        p.period_start
    from plan_ownership as p
    inner join agreements as a on p.agreement_id = a.id
    left join differences as d on p.agreement_id = d.agreement_id and p.period_start = d.period_start
    where
        p.year = :year and p.month = :month
        and (d.after > 0 or d.latest is not null or (p.period_end > a.arrived_at and p.period_start <= :now))
) as o;

-- name: correct_totals
-- Adds the differences to the live totals: what was counted since the snapshot stays. So does a latest record that came
-- since the snapshot, if it is later than the recomputed one.
with later_since as (
    select u.usage_id
    from differences as d
    inner join data_plan_usage as u on d.agreement_id = u.agreement_id and d.period_start = u.period_start
    where
        (u.latest_recorded_at, u.latest_internal_record_id) is distinct from (d.latest_then_at, d.latest_then)
        and (d.latest_at is null or (u.latest_recorded_at, u.latest_internal_record_id) > (d.latest_at, d.latest))
)

update data_plan_usage as u set
    total_recorded_bytes = u.total_recorded_bytes + d.after - d.before,
    latest_recorded_at = case when s.usage_id is null then d.latest_at else u.latest_recorded_at end,
    latest_internal_record_id = case when s.usage_id is null then d.latest else u.latest_internal_record_id end
from differences as d
inner join data_plan_usage as v on d.agreement_id = v.agreement_id and d.period_start = v.period_start
left join later_since as s on v.usage_id = s.usage_id
where u.usage_id = v.usage_id;

-- name: periods_to_judge
-- Reads the periods of the month whose total was corrected, or reaches its next threshold.
select u.usage_id
from data_plan_usage as u
left join differences as d on u.agreement_id = d.agreement_id and u.period_start = d.period_start
where
    u.year = :year and u.month = :month
    and (
        d.agreement_id is not null
        or (u.latest_recorded_at is not null and is_reached(u.total_recorded_bytes, u.next_threshold_bytes))
    );

-- name: periods_to_amend
-- Reads the periods whose total was corrected after an event told another one: closed ones, and open ones of which a
-- threshold event was written before.
select u.usage_id
from differences as d
inner join data_plan_usage as u on d.agreement_id = u.agreement_id and d.period_start = u.period_start
where
    d.before <> d.after
    and (
        u.status = 'closed'
        or exists (
            select from threshold_events as e
            where e.agreement_id = d.agreement_id and e.period_start = d.period_start
        )
    );
