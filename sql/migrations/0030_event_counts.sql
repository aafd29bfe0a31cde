-- Counts of events: live in windows of five minutes, and by the hour as recomputed. Feeds share both tables.
create table event_counts (
    feed text collate "C" not null,
    dimension text collate "C" not null,
    id text collate "C" not null,
    timestamp timestamptz not null,
    value bigint not null,
    primary key (feed, dimension, id, timestamp)
) with (fillfactor = 70);
create index event_counts_timestamp on event_counts (timestamp);
comment on table event_counts is 'live: events per window of five minutes; timestamp is the start of the window';

create table event_counts_hourly (
    feed text collate "C" not null,
    dimension text collate "C" not null,
    id text collate "C" not null,
    timestamp timestamptz not null,
    value bigint not null,
    primary key (feed, dimension, id, timestamp)
);
create index event_counts_hourly_timestamp on event_counts_hourly (timestamp);
comment on table event_counts_hourly is
'batch: events per hour, recomputed from the history; timestamp is the start of the hour';

grant select, insert, update on event_counts to bytemeter_writer;
grant select, insert, update, delete on event_counts_hourly to bytemeter_writer;

-- As usage_hourly: an hour is served from the batch view once recomputed, and from the live view while it is dirty.
create view events_hourly as
select
    event_counts_hourly.feed,
    event_counts_hourly.dimension,
    event_counts_hourly.id,
    event_counts_hourly.timestamp,
    event_counts_hourly.value,
    'batch' as source,
    hours.recomputed_at as as_of
from event_counts_hourly
inner join hours
    on event_counts_hourly.feed = hours.feed and event_counts_hourly.timestamp = hours.hour and not hours.dirty
union all
select
    event_counts.feed,
    event_counts.dimension,
    event_counts.id,
    hours.hour as timestamp,
    sum(event_counts.value)::bigint as value,
    'live' as source,
    (
        select max(ledger.updated_at) from ledger
        where ledger.feed = event_counts.feed
    ) as as_of
from hours
inner join event_counts
    on
        hours.feed = event_counts.feed
        and event_counts.timestamp >= hours.hour and event_counts.timestamp < hours.hour + interval '1 hour'
where hours.dirty
group by event_counts.feed, event_counts.dimension, event_counts.id, hours.hour;
comment on view events_hourly is 'events per hour, from batch or live as source tells, as of as_of';
revoke all on events_hourly from bytemeter_writer;
