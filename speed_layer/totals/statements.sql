-- name: mark_hours
-- Makes the hours of a micro-batch dirty: a recompute has not seen this version of them. Hours count from 1970; their
-- order keeps transactions of different feeds from waiting for each other in a circle.
insert into hours (feed, hour)
select
    :feed as feed,
    to_timestamp(3600 * event_hours.hour) as hour
from unnest(cast(:hours as bigint[])) as event_hours (hour)
order by hour
on conflict (feed, hour) do update set
    version = hours.version + 1,
    dirty_since = case when hours.dirty then hours.dirty_since else now() end;

-- name: mark_months
-- Makes the billing months of a micro-batch dirty: no monthly run has seen their new versions. Months are given by
-- their first instants, in seconds since 1970.
insert into billing_months (month)
select to_timestamp(starts.month_s) as month
from unnest(cast(:months as bigint[])) as starts (month_s)
order by month
on conflict (month) do update set
    version = billing_months.version + 1,
    dirty_since = case when billing_months.dirty then billing_months.dirty_since else now() end
