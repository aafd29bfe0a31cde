-- How far each agreement is in its running billing period: the share of the period that has passed, of the plan that is
-- used, and what the total will be at the end if usage goes on as it did.
select
    msisdn,
    agreement_id,
    period_start,
    period_end,
    percent_of_period,
    percent_used as percent_of_plan,
    total_recorded_bytes,
    max_bytes_in_billing_period,
    round(100 * total_recorded_bytes / nullif(percent_of_period, 0))::bigint as expected_bytes_at_end
from plan_progress
where running
order by percent_of_plan desc nulls first, agreement_id asc
limit 100;
