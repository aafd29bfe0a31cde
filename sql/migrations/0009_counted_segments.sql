-- The ids of a large micro-batch are written beside the transaction that counts it, and are seen once it is committed.
alter table seen_segments add column counted boolean not null default true;
comment on column seen_segments.counted is
'whether the transaction that counts the records of these ids is committed; if not, nobody has seen them';
