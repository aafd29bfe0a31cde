-- What the executors write before a transaction on the driver verifies and merges it. One copy per live query, in a
-- schema of its own; rows of a failed attempt are never read. The attempt is told by the writer's session, not written
-- into the query, which then stays the same from micro-batch to micro-batch. Times are seconds since 1970.
create unlogged table staged (
    attempt bigint not null default current_setting('bytemeter.attempt')::bigint,
    kind smallint not null,
    type text,
    id text,
    window_s bigint,
    partition integer,
    record_offset bigint,
    payload bytea,
    id_hash bytea,
    content_hash bigint,
    ids text[],
    value bigint,
    records bigint,
    latest_s bigint
);
comment on column staged.kind is '0 account of a partition, 1 total, 2 invalid record, 3 record with an event id';

-- The same for the hourly job.
create unlogged table staged_hourly (
    attempt bigint not null default current_setting('bytemeter.attempt')::bigint,
    type text not null,
    id text not null,
    window_s bigint not null,
    value bigint not null,
    records bigint not null
);
