-- Ids stand in packs, many to a row: a row and an index entry for each of them cost most of what remembering them cost.
alter table seen_ids rename to seen_ids_before;

create table seen_ids (
    segment integer not null,
    pack integer not null,
    ids bytea not null,
    primary key (segment, pack)
);
alter table seen_ids alter column ids set storage external;
comment on table seen_ids is
'live: where the first record of each event id stands; an id counts by the hour of its event time';
comment on column seen_ids.ids is
'40 bytes for each: hash of the id (16), hours since 1970 (4), partition (4), offset (8), hash of the content (8)';

alter table seen_segments drop column ids;
alter table seen_segments add column fences bytea;
alter table seen_segments alter column fences set storage external;
comment on column seen_segments.fences is
'of each pack the first 8 bytes of its first key, in order; null while ids are still added';

-- The process that counts puts them in order when it starts.
update seen_segments set filter = null;

insert into seen_ids (segment, pack, ids)
select
    segment,
    n / 48 as pack,
    string_agg(
        uuid_send(id_hash) || int4send(cast(extract(epoch from hour) / 3600 as integer)) || int4send(partition)
        || int8send(record_offset) || int8send(content_hash),
        ''
    ) as ids
from (
    select
        *,
        cast(row_number() over (partition by segment order by id_hash) - 1 as integer) as n
    from seen_ids_before
) as numbered
group by segment, n / 48;

drop table seen_ids_before;
drop function create_seen_segment(text), index_seen_segment(integer);
