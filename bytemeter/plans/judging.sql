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

-- name: read_periods
-- Reads billing periods as threshold events tell them, in the order of their ends.
select * from judged_periods -- noqa: AM04
where usage_id = any(cast(:usage_ids as bigint[]))
order by period_end, agreement_id;

-- name: due_periods
-- Reads the open periods that end first. They are not in the order of agreements, too: all that end at the same instant
-- would be sorted each time.
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
    a.billing_period_time_zone as time_zone,
    a.anchor_day
from due
inner join agreements as a on a.id = any(array[due.agreement_id]);

-- name: drop_periods
-- Deletes those of the due periods that have no record and are no period of their agreement any more: it does not serve
-- in them, or its calendar changed.
delete from data_plan_usage as u
using agreements as a
where
    u.usage_id = any(cast(:usage_ids as bigint[])) and u.latest_recorded_at is null
    and a.id = any(array[u.agreement_id])
    and (
        a.served_until <= u.period_start
        or a.service_start_at >= u.period_end
        or not exists (
            select from billing_periods as p
            where
                p.time_zone = a.billing_period_time_zone and p.anchor_day = a.anchor_day
                and p.period_start = u.period_start
        )
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
        select b.*
        from billing_periods as b
        where
            b.time_zone = a.billing_period_time_zone and b.anchor_day = a.anchor_day
            and b.period_end > closed.period_end
        order by b.period_start
        limit 1
    ) as p
where
    closed.usage_id = any(cast(:usage_ids as bigint[]))
    and p.period_end > a.arrived_at and p.period_end > a.service_start_at and p.period_start < a.served_until;
