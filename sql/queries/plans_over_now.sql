-- Who is over plan now: agreements whose total of the running billing period has reached the limit, the furthest first.
select
    msisdn,
    agreement_id,
    period_start,
    period_end,
    billing_period_time_zone,
    total_recorded_bytes,
    max_bytes_in_billing_period,
    percent_used,
    latest_recorded_at
from plan_progress
where running and over
order by percent_used desc nulls first, agreement_id asc
limit 50;
