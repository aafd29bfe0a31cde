-- Event ids are kept by the hour of their event time, and dropped behind a horizon. What a process keeps depends on the
-- ledger rows of the partitions that it counts, and on nothing that would have to see all partitions of a feed.
alter table ledger add column identity_horizon timestamptz;
comment on column ledger.identity_horizon is
'records of earlier event hours are not deduplicated live; it never moves back; null: all are';
alter table ledger add column behind_horizon bigint not null default 0 check (behind_horizon >= 0);
comment on column ledger.behind_horizon is
'records behind the identity horizon: received and not deduplicated live; a recompute removes duplicates';

-- Full segments are written once and dropped together: deleting them row by row would write all their pages twice more.
-- Those that are written while the horizon is in the same stretch of hours, the era, share a table, named
-- seen_ids_<generation>.
create table seen_generations (
    generation integer generated always as identity primary key,
    feed text,
    era integer,
    unique (feed, era)
);
comment on table seen_generations is 'live: the tables seen_ids_<generation> of full segments, dropped as a whole';
comment on column seen_generations.feed is 'null: segments of all feeds, as they were before there was a horizon';
comment on column seen_generations.era is
'hours since 1970; a new generation is begun as the horizon reaches the next era';

alter table seen_segments add column generation integer;
comment on column seen_segments.generation is 'where the packs are: in seen_ids_<generation>; null: in seen_ids';
alter table seen_segments add column hour integer;
comment on column seen_segments.hour is 'event hour of its ids, since 1970; null: of any hours, up to last_hour';
alter table seen_segments add column last_hour integer;
comment on column seen_segments.last_hour is 'the last event hour of its ids, since 1970';
comment on column seen_segments.filter is
'Bloom filter of a segment of the time before generations; later ones are pack -1 of their segment';
comment on column seen_segments.fences is
'first keys of the packs of a segment of the time before generations; later ones are pack -2 of their segment';

-- Segments of an existing database hold ids of several hours. No record was counted that is later than the latest event
-- time in the ledger, so the horizon passes all of their ids when it passes that hour. Until then they are asked for
-- every record up to that hour. Their table becomes a generation of its own.
do $$
declare
    made integer;
begin
    if exists (select from seen_segments) then
        insert into seen_generations (feed) values (null) returning generation into made;
        execute format('alter table seen_ids rename to seen_ids_%s', made);
        execute format('alter index seen_ids_pkey rename to seen_ids_%s_pkey', made);
        execute format('create table seen_ids (like seen_ids_%s including all)', made);
        update seen_segments as s set
            generation = made,
            last_hour = (
                select floor(extract(epoch from coalesce(max(l.latest_event_time), now() + interval '1 day')) / 3600)
                from ledger as l
                where l.feed = s.feed
            );
    end if;
end
$$;
alter table seen_segments alter column last_hour set not null;
comment on table seen_ids is
'live: where the first record of each event id stands, of segments to which ids are still added';

-- The writer may not make or drop tables otherwise.
create function seen_generation(of_feed text, of_era integer) returns integer
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
    made integer;
begin
    insert into seen_generations (feed, era) values (of_feed, of_era)
    on conflict (feed, era) do nothing
    returning generation into made;
    if made is null then
        return (select generation from seen_generations where feed = of_feed and era = of_era);
    end if;
    -- Nothing in it is ever updated or deleted: there is nothing to vacuum.
    execute format('create table seen_ids_%s (like seen_ids including all) with (autovacuum_enabled = off)', made);
    return made;
end
$$;
comment on function seen_generation(text, integer) is 'the generation of a feed and an era; makes its table at first';

create function drop_seen_generation(dropped integer) returns void
language plpgsql security definer set search_path = public, pg_temp
as $$
begin
    execute format('drop table if exists seen_ids_%s', dropped);
    delete from seen_segments where generation = dropped;
    delete from seen_generations where generation = dropped;
end
$$;
comment on function drop_seen_generation(integer) is 'drops the table of a generation, with its segments';

revoke execute on function seen_generation(text, integer), drop_seen_generation(integer) from public;
grant execute on function seen_generation(text, integer), drop_seen_generation(integer) to bytemeter_writer;
