-- Telemetry's funnel: the messages of each topic, from the batches that came to the events that were kept.
select
    case feed when 'telemetry-batches' then 'telemetry.ingest' else 'telemetry.raw' end as topic,
    sum(received)::bigint as messages
from ledger
where feed in ('telemetry-batches', 'telemetry') and received > 0
group by feed
union all
select
    topic,
    sum(messages)::bigint as messages
from routed_messages
where topic <> 'telemetry.raw'
group by topic
order by messages desc, topic asc;
