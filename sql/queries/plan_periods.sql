-- Billing periods by month: how many are open and closed, their bytes, and how many ended over the limit.
select
    year,
    month,
    count(*) filter (where status = 'open') as open,
    count(*) filter (where status = 'closed') as closed,
    count(*) filter (where over) as over_limit,
    sum(total_recorded_bytes)::bigint as bytes,
    max(latest_recorded_at) as latest_recorded_at
from plan_progress
group by year, month
order by year desc, month desc
limit 12;
