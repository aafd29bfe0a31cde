-- name: stored_calendars
-- Reads for which years each calendar's billing periods are stored.
select
    time_zone,
    anchor_day,
    first_year,
    last_year
from billing_calendars;

-- name: store_periods
-- Writes billing periods of a calendar; stored periods stay as they are.
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
