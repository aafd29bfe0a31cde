-- What people read of telemetry. Each hour is from batch once recomputed, and live before that, as in events_hourly.
create view telemetry_events as
select
    timestamp,
    id as eid,
    case id when 'LOG' then 'log' when 'ERROR' then 'error' else 'unique' end as outcome,
    value as events,
    source,
    as_of
from events_hourly
where feed = 'telemetry' and dimension = 'eid';
comment on view telemetry_events is 'valid events without duplicates per hour and kind, and the topic of their outcome';

create view telemetry_sessions as
select
    timestamp,
    coalesce(sum(value) filter (where dimension = 'eid' and id = 'START'), 0)::bigint as started,
    coalesce(sum(value) filter (where dimension = 'eid' and id = 'END'), 0)::bigint as ended,
    coalesce(sum(value) filter (where dimension = 'eid_milliseconds' and id = 'END'), 0) / 60000.0 as minutes
from events_hourly
where feed = 'telemetry' and dimension in ('eid', 'eid_milliseconds') and id in ('START', 'END')
group by timestamp;
comment on view telemetry_sessions is 'sessions per hour: START and END events, and the minutes that END events tell';

create view telemetry_content as
select
    timestamp,
    id as content,
    coalesce(sum(value) filter (where dimension = 'content'), 0)::bigint as events,
    coalesce(sum(value) filter (where dimension = 'content_milliseconds'), 0) / 60000.0 as minutes
from events_hourly
where feed = 'telemetry' and dimension in ('content', 'content_milliseconds')
group by timestamp, id;
comment on view telemetry_content is 'events per hour and content (object.id), and the minutes that they tell';

create view telemetry_active_users as
select
    date_trunc('day', timestamp, 'UTC') as day,
    count(distinct id) as users
from events_hourly
where feed = 'telemetry' and dimension = 'user'
group by date_trunc('day', timestamp, 'UTC');
comment on view telemetry_active_users is
'exactly how many different actors of type User had a valid event, per UTC day';

create view telemetry_failed as
select
    date_trunc('hour', received_at, 'UTC') as timestamp,
    feed,
    reason,
    count(*) as messages
from invalid_events
where feed in ('telemetry-batches', 'telemetry', 'telemetry-unique', 'telemetry-denorm')
group by date_trunc('hour', received_at, 'UTC'), feed, reason;
comment on view telemetry_failed is 'invalid batches and events by reason, per hour in which they were received';

create view telemetry_funnel as
with received as (
    select
        feed,
        sum(received)::bigint as messages
    from ledger
    group by feed
),

routed as (
    select
        topic,
        sum(messages)::bigint as messages
    from routed_messages
    group by topic
),

steps (step, name, feed, topic) as (
    values
    (1, 'ingest', 'telemetry-batches', null),
    (2, 'raw', 'telemetry', null),
    (3, 'unique', null, 'telemetry.unique'),
    (4, 'denorm', null, 'telemetry.denorm'),
    (5, 'duplicate', null, 'telemetry.duplicate'),
    (6, 'failed', null, 'telemetry.failed'),
    (7, 'log', null, 'telemetry.log'),
    (8, 'error', null, 'telemetry.error'),
    (9, 'audit', null, 'telemetry.audit'),
    (10, 'assess', null, 'telemetry.assess')
)

select
    steps.step,
    steps.name,
    coalesce(received.messages, routed.messages, 0) as messages
from steps
left join received on steps.feed = received.feed
left join routed on steps.topic = routed.topic;
comment on view telemetry_funnel is 'what telemetry has received, and what became of it: messages of each topic';

revoke all on telemetry_events, telemetry_sessions, telemetry_content, telemetry_active_users, telemetry_failed,
telemetry_funnel from bytemeter_writer;
