-- Who uses: provisioned, joined by the batch layer.
create table user_metadata (
    id text primary key,
    name text not null,
    email text not null unique,
    quota bigint not null check (quota >= 0)
);
comment on column user_metadata.quota is 'bytes per hour';

-- Keys compare byte by byte (collation C), whatever the database's language: faster, and the same everywhere.

-- Live totals in windows of five minutes. Room on each page lets a total grow in place, without touching an index.
create table bytes (
    type text collate "C" not null,
    id text collate "C" not null,
    timestamp timestamptz not null,
    value bigint not null,
    primary key (type, id, timestamp)
) with (fillfactor = 70);
create index bytes_timestamp on bytes (timestamp);
comment on table bytes is 'live: bytes per window of five minutes; timestamp is the start of the window';

create table bytes_hourly (
    type text collate "C" not null,
    id text collate "C" not null,
    timestamp timestamptz not null,
    value bigint not null,
    primary key (type, id, timestamp)
);
create index bytes_hourly_timestamp on bytes_hourly (timestamp);
comment on table bytes_hourly is
'batch: bytes per hour, recomputed from the history; timestamp is the start of the hour';

create table user_quota_limit (
    email text not null,
    timestamp timestamptz not null,
    usage bigint not null,
    quota bigint not null,
    primary key (email, timestamp),
    check (usage > quota)
);
create index user_quota_limit_timestamp on user_quota_limit (timestamp);
comment on table user_quota_limit is 'batch: hours in which a user''s usage exceeded the quota';
