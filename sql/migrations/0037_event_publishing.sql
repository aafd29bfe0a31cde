-- Whoever publishes threshold events holds a lock on this table, which has no rows: one process at a time publishes
-- what waits, in its order. A lock of a table, other than an advisory one, asks for the right to update; other than one
-- of a row, it does not hold back vacuum.
create table event_publishing ();
comment on table event_publishing is 'internal: its lock is the right to publish threshold events';
grant select, update on event_publishing to bytemeter_writer;

drop index threshold_events_unpublished;
create index threshold_events_unpublished on threshold_events (sequence) where published_at is null;
