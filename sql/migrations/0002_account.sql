-- Up to where each partition has been counted, and what became of every record received.
create table ledger (
    feed text not null,
    partition integer not null,
    topic_id text not null,
    next_offset bigint not null,
    received bigint not null default 0,
    counted bigint not null default 0,
    duplicate bigint not null default 0,
    invalid bigint not null default 0,
    unmatched bigint not null default 0,
    voids bigint not null default 0,
    latest_event_time timestamptz,
    updated_at timestamptz not null default now(),
    primary key (feed, partition),
    check (received = counted + duplicate + invalid + unmatched + voids)
);

create table invalid_events (
    feed text not null,
    partition integer not null,
    record_offset bigint not null,
    reason text not null,
    payload bytea,
    event_time timestamptz,
    received_at timestamptz not null default now(),
    replayed_at timestamptz,
    primary key (feed, partition, record_offset)
);
create index invalid_events_event_time on invalid_events (feed, event_time) where event_time is not null;
comment on column invalid_events.payload is 'the value as received; null for a tombstone';
comment on column invalid_events.event_time is
'only of well-formed records that were refused because of their time: those stand in the history too';

-- The first record of each event id. The hour leads the key: a repeat has the hour of the first,
-- so look-ups and inserts stay in the part of the index that is in use.
create table seen_ids (
    feed text not null,
    hour timestamptz not null,
    id_hash bytea not null,
    partition integer not null,
    record_offset bigint not null,
    content_hash bigint not null,
    primary key (feed, hour, id_hash)
);

create table duplicate_events (
    feed text not null,
    partition integer not null,
    record_offset bigint not null,
    event_time timestamptz not null,
    first_partition integer not null,
    first_offset bigint not null,
    conflict boolean not null,
    primary key (feed, partition, record_offset)
);
create index duplicate_events_event_time on duplicate_events (feed, event_time);
comment on column duplicate_events.conflict is 'whether its content differs from that of the first record with its id';

-- Every hour that has records. Its version grows with each micro-batch that adds to it;
-- it is dirty until a recompute has seen that version.
create table hours (
    feed text not null,
    hour timestamptz not null,
    version bigint not null default 1,
    recomputed_version bigint,
    recomputed_at timestamptz,
    dirty boolean not null generated always as (coalesce(recomputed_version, 0) < version) stored,
    primary key (feed, hour)
);
create index hours_dirty on hours (feed, hour) where dirty;

-- Well-formed records that the live query did not count: the history holds them, a recompute leaves them out.
create view refused_events as
select
    feed,
    partition,
    record_offset,
    event_time
from duplicate_events
union all
select
    feed,
    partition,
    record_offset,
    event_time
from invalid_events
where event_time is not null;
