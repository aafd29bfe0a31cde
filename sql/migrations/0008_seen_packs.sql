-- Ids stand in packs, many to a row: a row and an index entry for each of them cost most of what remembering them cost.
-- Another hash tells them, so that those that were seen before are not known any more.
drop table seen_ids;
truncate seen_segments;
drop function create_seen_segment(text), index_seen_segment(integer);

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
