-- What was emitted in each of the last 24 hours: thresholds crossed, periods closed, amendments and corrections.
select
    date_trunc('hour', emitted_at, 'UTC') as timestamp,
    event,
    count(*) as events
from plan_events
where emitted_at > now() - interval '24 hours'
group by date_trunc('hour', emitted_at, 'UTC'), event
order by timestamp desc, event asc;
