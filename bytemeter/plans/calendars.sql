-- name: stored_calendars
-- Reads for which years each calendar's billing periods are stored, and from when to when they reach.
select
    c.time_zone,
    c.anchor_day,
    c.first_year,
    c.last_year,
    p.start,
    p."end"
from billing_calendars as c
cross join
    lateral (
        select
            min(b.period_start) as start,
            max(b.period_end) as "end"
        from billing_periods as b
        where b.time_zone = c.time_zone and b.anchor_day = c.anchor_day
    ) as p;

-- name: store_periods
-- Writes billing periods of a calendar. Those that another process has stored in the meantime stay as they are.
insert into billing_periods (time_zone, anchor_day, period_start, period_end, year, month)
select
    :zone as time_zone,
    :day as anchor_day,
    p.period_start,
    p.period_end,
    p.year,
    p.month
from
    unnest(
        cast(:starts as timestamptz[]), cast(:ends as timestamptz[]),
        cast(:years as integer[]), cast(:months as integer[])
    ) as p (period_start, period_end, year, month)
on conflict do nothing;

-- name: store_calendar
-- Notes for which years a calendar's billing periods are stored.
insert into billing_calendars (time_zone, anchor_day, first_year, last_year)
values (:zone, :day, :first, :last)
on conflict (time_zone, anchor_day) do update set first_year = excluded.first_year, last_year = excluded.last_year;
