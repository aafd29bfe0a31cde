-- How far each agreement is in its running billing period: the share of the period that has passed, of the plan that is
-- used, and what the total will be at the end if usage goes on as it did.
select
    agreements.msisdn,
    usage.agreement_id,
    usage.period_start,
    usage.period_end,
    round(
        100 * extract(epoch from now() - usage.period_start)
        / extract(epoch from usage.period_end - usage.period_start),
        1
    ) as percent_of_period,
    round(100.0 * usage.total_recorded_bytes / nullif(agreements.max_bytes_in_billing_period, 0), 1) as percent_of_plan,
    usage.total_recorded_bytes,
    agreements.max_bytes_in_billing_period,
    round(
        usage.total_recorded_bytes * extract(epoch from usage.period_end - usage.period_start)
        / nullif(extract(epoch from now() - usage.period_start), 0)
    )::bigint as expected_bytes_at_end
from data_plan_usage as usage
inner join agreements on usage.agreement_id = agreements.id
where usage.period_start <= now() and usage.period_end > now()
order by percent_of_plan desc nulls first, usage.agreement_id asc
limit 100;
