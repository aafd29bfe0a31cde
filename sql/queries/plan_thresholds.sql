-- How many agreements reached which threshold in the running billing periods.
select
    threshold_events.type,
    threshold_events.threshold_percent,
    count(*) as events,
    max(threshold_events.emitted_at) as latest
from threshold_events
inner join data_plan_usage
    on
        threshold_events.agreement_id = data_plan_usage.agreement_id
        and threshold_events.period_start = data_plan_usage.period_start
where data_plan_usage.period_start <= now() and data_plan_usage.period_end > now()
group by threshold_events.type, threshold_events.threshold_percent
order by threshold_events.threshold_percent, threshold_events.type;
