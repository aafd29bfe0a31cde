-- Billing periods for the growth of open periods.

-- name: add_open_periods
-- Adds to each billing period :periods - 1 earlier ones of the same agreement, a hundred days apart.
insert into data_plan_usage (
    agreement_id, period_start, period_end, year, month, billing_period_time_zone, max_bytes_in_billing_period,
    thresholds
)
select
    agreement_id,
    period_start - n * interval '100 days' as period_start,
    period_end - n * interval '100 days' as period_end,
    2000 as year,
    1 as month,
    billing_period_time_zone,
    max_bytes_in_billing_period,
    thresholds
from data_plan_usage
cross join generate_series(1, :periods - 1) as n;

-- name: open_periods
-- Reads how many billing periods are open.
select count(*) as periods from data_plan_usage
where status = 'open';
