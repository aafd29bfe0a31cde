-- Nothing is staged for the live queries any more: what is to be counted is copied within the transaction.
do $$
declare
    staging text;
begin
    for staging in
        select nspname from pg_namespace where nspname = 'live_data_plans' or nspname like 'live\_%'
    loop
        execute format('drop schema %I cascade', staging);
    end loop;
end
$$;
drop table staged;

-- The first record of each event id: a log in segments. The process that counts a feed keeps a filter of each segment
-- in memory, and looks ids up only in the segments in which they may be; so each segment has an index of its own.
alter table seen_ids rename to seen_ids_before;

create table seen_segments (
    segment integer generated always as identity primary key,
    feed text not null,
    ids bigint not null default 0,
    filter bytea
);
alter table seen_segments alter column filter set storage external;
create index seen_segments_feed on seen_segments (feed, segment);
comment on table seen_segments is 'live: the parts of seen_ids';
comment on column seen_segments.filter is 'Bloom filter of the ids; null while ids are still added';

create table seen_ids (
    segment integer not null,
    hour timestamptz not null,
    id_hash uuid not null,
    partition integer not null,
    record_offset bigint not null,
    content_hash bigint not null
) partition by list (segment);
comment on table seen_ids is
'live: where the first record of each event id stands; an id counts by the hour of its event time';

-- Segments come while records are counted, by the writer, who may not make tables otherwise.
create function create_seen_segment(for_feed text) returns integer
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
    made integer;
begin
    insert into seen_segments (feed) values (for_feed) returning segment into made;
    execute format('create table seen_ids_%s (like seen_ids)', made);
    execute format('alter table seen_ids attach partition seen_ids_%s for values in (%s)', made, made);
    return made;
end
$$;

create function index_seen_segment(of_segment integer) returns void
language plpgsql security definer set search_path = public, pg_temp
as $$
begin
    execute format('create index seen_ids_%s_id_hash on seen_ids_%s (id_hash)', of_segment, of_segment);
end
$$;

revoke execute on function create_seen_segment(text), index_seen_segment(integer) from public;
grant execute on function create_seen_segment(text), index_seen_segment(integer) to bytemeter_writer;

do $$
declare
    capacity constant bigint := 524288;
    part record;
    made integer;
begin
    for part in
        select feed, n / capacity as number, min(n) as first, max(n) as last
        from (
            select feed, row_number() over (partition by feed order by hour, id_hash) - 1 as n from seen_ids_before
        ) as ids
        group by feed, n / capacity
        order by feed, number
    loop
        made := create_seen_segment(part.feed);
        execute format(
            'insert into seen_ids_%s
            select %s, hour, cast(encode(id_hash, ''hex'') as uuid), partition, record_offset, content_hash
            from seen_ids_before where feed = %L order by hour, id_hash offset %s limit %s',
            made, made, part.feed, part.first, part.last - part.first + 1
        );
        perform index_seen_segment(made);
        update seen_segments set ids = part.last - part.first + 1 where segment = made;
    end loop;
end
$$;
drop table seen_ids_before;
