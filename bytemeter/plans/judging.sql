-- name: reach_thresholds
-- Reads billing periods, and returns a row for each threshold from the period's next one on that its total reaches.
-- Writes the threshold that is the next one now.
with periods as materialized (
    select * from judged_periods
    where usage_id = any(cast(:usage_ids as bigint[]))
),

moved as (
    update data_plan_usage as u
    set next_threshold_bytes = next_threshold(p.thresholds, p."limit", p.counted_bytes)
    from periods as p
    where u.usage_id = any(array[p.usage_id])
)

select
    p.*, -- noqa: AM04
    t.percent,
    t.threshold_bytes
from periods as p
cross join lateral thresholds_in_bytes(p.thresholds, p."limit") as t
where t.threshold_bytes >= p.next_threshold_bytes and is_reached(p.counted_bytes, t.threshold_bytes)
order by p.agreement_id, p.period_start, t.threshold_bytes, t.percent;

-- name: count_amendments
-- Gives each of the periods its next ordinal of amendments and corrections.
update data_plan_usage set amendments = amendments + 1
where usage_id = any(cast(:usage_ids as bigint[]));

-- name: events_of_periods
-- Reads the ids of the events of billing periods, in the order in which they were emitted.
select
    u.usage_id,
    e.event_id
from data_plan_usage as u
inner join threshold_events as e
    on e.agreement_id = any(array[u.agreement_id]) and e.period_start = any(array[u.period_start])
where u.usage_id = any(cast(:usage_ids as bigint[]))
order by e.sequence;

-- name: read_periods
-- Reads billing periods as threshold events tell them, in the order of their ends.
select * from judged_periods -- noqa: AM04
where usage_id = any(cast(:usage_ids as bigint[]))
order by period_end, agreement_id;

-- name: due_periods
-- Reads the open periods that end first, each with the calendars of its agreement from then on, if there are any. They
-- are not in the order of agreements, too: all that end at the same instant would be sorted each time.
with due as (
    select
        usage_id,
        agreement_id,
        period_end
    from data_plan_usage
    where
        status = 'open' and period_end <= :until
        and (cast(:year as integer) is null or (year, month) = (:year, :month))
    order by period_end
    limit :most
)

select
    due.usage_id,
    due.period_end,
    s.billing_period_time_zone as time_zone,
    s.anchor_day
from due
left join agreement_services as s
    on s.agreement_id = any(array[due.agreement_id]) and s.served_until > due.period_end;

-- name: drop_periods
-- Deletes those of the due periods that have no record and are no period of their agreement any more: it does not serve
-- in them, or its calendar changed.
delete from data_plan_usage as u
where
    u.usage_id = any(cast(:usage_ids as bigint[])) and u.latest_recorded_at is null
    and not exists (
        select from agreement_services as s
        inner join billing_periods as p
            on
                p.time_zone = any(array[s.billing_period_time_zone])
                and p.anchor_day = any(array[s.anchor_day])
                and p.period_start = u.period_start
                and p.period_end > s.served_from
        where s.agreement_id = any(array[u.agreement_id]) and s.served_until > u.period_start
    );

-- name: close_periods
-- Closes the due periods that were not dropped, and returns them.
update data_plan_usage set status = 'closed'
where usage_id = any(cast(:usage_ids as bigint[]))
returning usage_id;

-- name: open_next_periods
-- Opens the period after each of the closed ones, if the agreement had arrived before its end and serves in it.
select open_periods(array_agg(a.id), array_agg(p.period_start))
from data_plan_usage as closed
inner join agreements as a on a.id = any(array[closed.agreement_id])
cross join
    lateral (
        select b.period_start
        from agreement_services as s
        inner join billing_periods as b
            on
                b.time_zone = any(array[s.billing_period_time_zone])
                and b.anchor_day = any(array[s.anchor_day])
                and b.period_end > greatest(closed.period_end, s.served_from, a.arrived_at)
        where s.agreement_id = any(array[a.id]) and s.served_until > greatest(closed.period_end, b.period_start)
        order by b.period_start
        limit 1
    ) as p
where closed.usage_id = any(cast(:usage_ids as bigint[]));
