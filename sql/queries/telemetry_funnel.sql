-- Telemetry's funnel: the messages of each topic, from the batches that came to the events that were kept.
select
    'telemetry.ingest' as topic,
    sum(received)::bigint as messages
from ledger
where feed = 'telemetry-batches' and received > 0
group by feed
union all
select
    'telemetry.raw' as topic,
    sum(received)::bigint as messages
from ledger
where feed = 'telemetry' and received > 0
group by feed
union all
select
    topic,
    sum(messages)::bigint as messages
from routed_messages
where topic <> 'telemetry.raw'
group by topic
order by messages desc, topic asc;
