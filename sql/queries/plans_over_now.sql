-- Who is over plan now: agreements whose total of the running billing period has reached the limit, the furthest first.
select
    agreements.msisdn,
    usage.agreement_id,
    usage.period_start,
    usage.period_end,
    agreements.billing_period_time_zone,
    usage.total_recorded_bytes,
    agreements.max_bytes_in_billing_period,
    round(100.0 * usage.total_recorded_bytes / nullif(agreements.max_bytes_in_billing_period, 0), 1) as percent_used,
    usage.latest_recorded_at
from data_plan_usage as usage
inner join agreements on usage.agreement_id = agreements.id
where
    usage.period_start <= now() and usage.period_end > now()
    and usage.latest_recorded_at is not null
    and usage.total_recorded_bytes >= agreements.max_bytes_in_billing_period
order by percent_used desc nulls first, usage.agreement_id asc
limit 50;
