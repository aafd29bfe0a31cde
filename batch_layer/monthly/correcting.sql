-- name: lock_ledger
-- Waits until no transaction counts these feeds, and keeps others from it.
select from ledger
where feed = any(cast(:feeds as text[]))
order by feed, partition for update;

-- name: last_piece_of_differences
-- Reads the number of the last piece; null if there is no difference.
select max(piece) from differences;

-- name: last_piece_of_unopened
-- Reads the number of the last piece; null if no period is to be opened.
select max(piece) from unopened;

-- name: open_periods_of_piece
-- Opens periods of which the live query did not know that they have records.
select open_periods(array_agg(agreement_id), array_agg(period_start))
from differences
where piece = :piece and (after > 0 or latest is not null);

-- name: correct_totals
-- Adds the differences to the live totals: what was counted since the snapshot stays. So does a latest record that came
-- since the snapshot, if it is later than the recomputed one.
with later_since as (
    select u.usage_id
    from differences as d
    inner join data_plan_usage as u on d.agreement_id = u.agreement_id and d.period_start = u.period_start
    where
        d.piece = :piece
        and (u.latest_recorded_at, u.latest_internal_record_id) is distinct from (d.latest_then_at, d.latest_then)
        and (d.latest_at is null or (u.latest_recorded_at, u.latest_internal_record_id) > (d.latest_at, d.latest))
)

update data_plan_usage as u set
    total_recorded_bytes = u.total_recorded_bytes + d.after - d.before,
    latest_recorded_at = case when s.usage_id is null then d.latest_at else u.latest_recorded_at end,
    latest_internal_record_id = case when s.usage_id is null then d.latest else u.latest_internal_record_id end
from differences as d
inner join data_plan_usage as v on d.agreement_id = v.agreement_id and d.period_start = v.period_start
left join later_since as s on v.usage_id = s.usage_id
where d.piece = :piece and u.usage_id = v.usage_id;

-- name: corrected_periods
-- Reads the periods that were corrected.
select u.usage_id
from differences as d
inner join data_plan_usage as u on d.agreement_id = u.agreement_id and d.period_start = u.period_start
where d.piece = :piece;

-- name: periods_to_amend
-- Reads the periods whose total was corrected after an event told another one: closed ones, and open ones of which a
-- threshold event was written before.
select u.usage_id
from differences as d
inner join data_plan_usage as u on d.agreement_id = u.agreement_id and d.period_start = u.period_start
where
    d.piece = :piece
    and d.before <> d.after
    and (
        u.status = 'closed'
        or exists (
            select from threshold_events as e
            where e.agreement_id = d.agreement_id and e.period_start = d.period_start
        )
    );

-- name: reached_periods
-- Reads periods of the month whose total reaches its next threshold.
select usage_id
from data_plan_usage
where
    year = :year and month = :month
    and latest_recorded_at is not null and is_reached(total_recorded_bytes, next_threshold_bytes)
order by usage_id
limit :most;

-- name: find_unopened
-- Writes the temporary table unopened: periods that were never opened because the one before did not close.
create temporary table unopened as
select
    o.agreement_id,
    o.period_start,
    (row_number() over (order by o.agreement_id, o.period_start) - 1) / :at_once as piece
from (
    select distinct
        p.agreement_id,
        p.period_start
    from plan_ownership as p
    inner join agreements as a on p.agreement_id = a.id
    where p.year = :year and p.month = :month and p.period_end > a.arrived_at and p.period_start <= :now
) as o
left join data_plan_usage as u on o.agreement_id = u.agreement_id and o.period_start = u.period_start
where u.agreement_id is null;

-- name: open_unopened
-- Opens a piece of the periods that were never opened.
select open_periods(array_agg(agreement_id), array_agg(period_start))
from unopened
where piece = :piece;

-- name: copy_tables
-- Creates temporary tables that hide those of the same names until the transaction ends. New billing periods get
-- numbers that no other has.
create temporary table data_plan_usage (like public.data_plan_usage including all) on commit drop;
alter table pg_temp.data_plan_usage alter column usage_id restart with 4611686018427387904;
create temporary table threshold_events (like public.threshold_events including all) on commit drop;
create temporary table billing_calendars (like public.billing_calendars including all) on commit drop;
create temporary table billing_periods (like public.billing_periods including all) on commit drop;

-- name: copy_periods
-- Copies the billing periods of the month.
insert into pg_temp.data_plan_usage overriding system value
select * from public.data_plan_usage -- noqa: AM04
where year = :year and month = :month;

-- name: copy_what_belongs_to_them
-- Copies the events of these billing periods, and all calendars.
insert into pg_temp.threshold_events overriding system value
select e.* -- noqa: AM04
from public.threshold_events as e
where
    exists (
        select from pg_temp.data_plan_usage as u
        where u.agreement_id = e.agreement_id and u.period_start = e.period_start
    );
insert into pg_temp.billing_calendars
select * from public.billing_calendars; -- noqa: AM04
insert into pg_temp.billing_periods
select * from public.billing_periods; -- noqa: AM04
analyze pg_temp.data_plan_usage;
